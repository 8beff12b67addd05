// ranks: see ranks.h.
#include "tests/boot/ranks.h"

#include <dirent.h>

#include <filesystem>
#include <fstream>

namespace tutti::test {

int count_entries(const char* directory) {
  DIR* stream = opendir(directory);
  int count = 0;
  while (const dirent* entry = readdir(stream))
    if (entry->d_name[0] != '.') ++count;
  closedir(stream);
  return count;
}

namespace {

// The library's threads, as the beginnings of their lines in /proc: "pid (name) state".
int count_threads(const std::function<bool(char state)>& counts) {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string line;
    std::getline(std::ifstream(task.path() / "stat"), line);
    const size_t name = line.find("(tutti-"), state = line.find(") ", name) + 2;
    count += name != std::string::npos && state < line.size() && counts(line[state]);
  }
  return count;
}

}  // namespace

int library_threads() {
  return count_threads([](char) { return true; });
}

int running_library_threads() {
  return count_threads([](char state) { return state != 'S'; });
}

}  // namespace tutti::test
