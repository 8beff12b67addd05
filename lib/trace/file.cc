// file: see file.h.
#include "lib/trace/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>

namespace tutti {
namespace {

constexpr size_t kWriteBytes = 256 << 10;  // as much as comes together between two writes
constexpr int kMostNames = 1000;
constexpr size_t kMostWord = 64;

}  // namespace

std::string file_word(const std::string& text) {
  std::string word = text.substr(0, kMostWord);
  for (char& c : word)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_') c = '_';
  return word.empty() ? "_" : word;
}

Status check_folder(const std::string& folder) {
  (void)mkdir(folder.c_str(), 0777);  // it is there, or access() says what is wrong
  if (access((folder + "/").c_str(), W_OK | X_OK) == 0) return {};
  return system_failure(errno, "cannot write into ", folder);
}

Result<TraceFile> TraceFile::make(const std::string& folder, const std::string& name, size_t most_bytes) {
  TraceFile made;
  made.most_bytes_ = most_bytes;
  (void)mkdir(folder.c_str(), 0777);  // it is there, or open() says what is wrong
  for (int number = 1; number <= kMostNames; ++number) {
    made.path_ = concat(folder, "/", name, number == 1 ? "" : concat("-", number), ".json");
    made.file_ = Descriptor(open(made.path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (made.file_.open() || errno != EEXIST) break;
  }
  if (!made.file_.open()) return system_failure(errno, "cannot write ", made.path_);
  return made;
}

Status TraceFile::add(std::string_view object) {
  TUTTI_TRY(failure_);
  text_ += written_ == 0 && text_.empty() ? "[\n" : ",\n";
  text_ += object;
  return text_.size() < kWriteBytes ? Status() : flush();
}

Status TraceFile::flush() {
  TUTTI_TRY(failure_);
  if (text_.empty()) return {};
  if (written_ + text_.size() > most_bytes_)
    failure_ = fail(Code::SystemError, path_, " has reached its limit of ", most_bytes_ >> 20, " MiB");
  else
    failure_ = write_all(text_);
  text_.clear();
  return failure_;
}

Status TraceFile::close() {
  const Status flushed = flush();
  if (file_.open() && written_ > 0 && write_all("\n]\n").ok()) file_.reset();
  return flushed;
}

// All or nothing: after a failure the file is as it was before.
Status TraceFile::write_all(const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = write(file_.get(), text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      Status failure = system_failure(wrote < 0 ? errno : ENOSPC, "cannot write ", path_);
      [[maybe_unused]] const int cut = ftruncate(file_.get(), static_cast<off_t>(written_));
      [[maybe_unused]] const off_t back = lseek(file_.get(), static_cast<off_t>(written_), SEEK_SET);
      return failure;
    }
    done += static_cast<size_t>(wrote);
  }
  written_ += text.size();
  return {};
}

}  // namespace tutti
