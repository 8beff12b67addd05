// temporary: files and folders that exist as long as a test needs them.
//
// Each gets a name of its own in TMPDIR, or in /tmp if TMPDIR is not set. Its object removes it. Forked ranks may read it; only the
// process that made the object may destroy it (a rank ends by _exit(), which destroys nothing).
#pragma once
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/catch.h"

namespace tutti::test {

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text = "") : path_(std::filesystem::temp_directory_path() / "tutti-test-XXXXXX") {
    const int file = mkstemp(path_.data());
    REQUIRE(file >= 0);
    close(file);
    write(text);
  }
  ~TemporaryFile() { remove(); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  // Replaces what is in the file.
  void write(const std::string& text) {
    std::ofstream file(path_, std::ios::trunc);
    REQUIRE((file << text << std::flush));
  }
  void remove() { std::remove(path_.c_str()); }
  const char* path() const { return path_.c_str(); }

 private:
  std::string path_;
};

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(std::filesystem::temp_directory_path() / "tutti-test-XXXXXX") { REQUIRE(mkdtemp(path_.data())); }
  ~TemporaryFolder() {
    std::error_code none;
    std::filesystem::remove_all(path_, none);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace tutti::test
