// output: see output.h.
#include "tools/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tutti::tool {
namespace {

std::string sentence(const std::string& path, int error) { return "cannot write " + path + ": " + std::strerror(error); }

// 0 or an errno.
int try_open(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

int try_access(const std::string& path, int mode) { return faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0 ? 0 : errno; }

// Whether a new file can be made in a folder: 0 or an errno. Tries it with a file that has no name, so that nobody sees it.
int try_folder(const std::string& folder) {
  const int error = try_open(folder, O_TMPFILE);
  const bool unknown = error == EOPNOTSUPP || error == EISDIR || error == EINVAL;  // this file system has no files without a name
  return unknown ? try_access(folder, W_OK | X_OK) : error;
}

int write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) return errno;
    if (written > 0) done += static_cast<size_t>(written);
  }
  return 0;
}

// Allocates room for the whole text, then writes the text over the old one. 0 or an errno.
int replace_text(int fd, const std::string& text, off_t old_size) {
  const off_t size = static_cast<off_t>(text.size());
  if (size > 0 && fallocate(fd, 0, 0, size) != 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
    const int error = errno;
    (void)!ftruncate(fd, old_size);
    return error;
  }
  if (const int error = write_all(fd, text)) return error;
  return ftruncate(fd, size) == 0 ? 0 : errno;
}

}  // namespace

std::string cannot_write(const std::string& path) {
  struct stat there;
  int error = 0;
  if (stat(path.c_str(), &there) != 0) {
    error = errno;
    const size_t slash = path.rfind('/');
    if (error == ENOENT && !path.empty() && slash != path.size() - 1)
      error = try_folder(slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash));
  } else if (S_ISREG(there.st_mode) || S_ISDIR(there.st_mode)) {
    error = try_open(path, 0);
  } else {
    error = try_access(path, W_OK);  // not by opening: open() of a pipe waits for a reader
  }
  return error == 0 ? "" : sentence(path, error);
}

std::string write_file(const std::string& path, const std::string& text) {
  struct stat there;
  const bool is_new = stat(path.c_str(), &there) != 0;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return sentence(path, errno);
  int error = is_new || S_ISREG(there.st_mode) ? replace_text(fd, text, is_new ? 0 : there.st_size) : write_all(fd, text);
  if (close(fd) != 0 && error == 0) error = errno;
  if (error == 0) return "";
  if (is_new) unlink(path.c_str());
  return sentence(path, error);
}

}  // namespace tutti::tool
