// replay: runs a fuzz target on stored inputs without libFuzzer: a test for every compiler.
//
// Arguments: files, folders of files, and `--slow N` for a machine that is N times as slow. Each file runs in a child. The child must exit
// with 0, within 3 s of processor time (the largest topology files take 0.6 s) and 256 MiB. A sanitizer gets more of both.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/target.h"

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kMostSeconds = 30;
constexpr long kMostKiB = 768 << 10;
#else
constexpr double kMostSeconds = 3;
constexpr long kMostKiB = 256 << 10;
#endif
constexpr unsigned kPatienceS = 300;  // for a target that waits and uses no processor time

struct Limits {
  double seconds;
  long kib;
};

[[noreturn]] void run(const std::string& file, const Limits& limits) {
  const rlim_t seconds = static_cast<rlim_t>(limits.seconds) + 1;
  const rlimit processor{seconds, seconds}, cores{0, 0};
  setrlimit(RLIMIT_CPU, &processor);
  setrlimit(RLIMIT_CORE, &cores);
  alarm(kPatienceS);
  std::ifstream in(file, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  if (!in.good() && !in.eof()) _exit(1);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  _exit(0);
}

bool passes(const std::string& file, const Limits& limits) {
  const pid_t child = fork();
  if (child == 0) run(file, limits);
  int status = 0;
  rusage usage{};
  if (child < 0 || wait4(child, &status, 0, &usage) != child) {
    std::perror("replay");
    return false;
  }
  const auto seconds_of = [](const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); };
  const double seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  if (WIFSIGNALED(status))
    std::printf("%s: %s\n", file.c_str(), strsignal(WTERMSIG(status)));
  else if (WEXITSTATUS(status) != 0)
    std::printf("%s: exit code %d\n", file.c_str(), WEXITSTATUS(status));
  else if (seconds > limits.seconds)
    std::printf("%s: took %.2f s, more than %.0f\n", file.c_str(), seconds, limits.seconds);
  else if (usage.ru_maxrss > limits.kib)
    std::printf("%s: took %ld MiB, more than %ld\n", file.c_str(), usage.ru_maxrss >> 10, limits.kib >> 10);
  else
    return true;
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  Limits limits{kMostSeconds, kMostKiB};
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--slow") == 0 && i + 1 < argc) {
      const double slow = std::atof(argv[++i]);
      limits.seconds *= slow;
      if (slow > 1) limits.kib *= 4;  // the memory of the emulator counts, too
    } else if (std::filesystem::is_directory(argv[i])) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[i])) files.push_back(entry.path());
    } else {
      files.push_back(argv[i]);
    }
  }
  std::sort(files.begin(), files.end());
  std::setvbuf(stdout, nullptr, _IONBF, 0);  // otherwise a child would print the parent's buffer again
  int failed = 0;
  for (const std::string& file : files) failed += !passes(file, limits);
  std::printf("%zu inputs, %d failed\n", files.size(), failed);
  return files.empty() || failed > 0 ? 1 : 0;
}
