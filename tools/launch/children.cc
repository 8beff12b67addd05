// children: see children.h.
#include "tools/launch/children.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/tool.h"

namespace tutti::tool {
namespace {

constexpr double kTermToKill_s = 2;
using Clock = std::chrono::steady_clock;

Clock::time_point in_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) return;  // nobody reads: the children learn it when they end
    if (written > 0) done += static_cast<size_t>(written);
  }
}

}  // namespace

Children::Children(Settings settings) : settings_(std::move(settings)) {
  sigemptyset(&mask_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&mask_, number);
  sigprocmask(SIG_BLOCK, &mask_, &old_mask_);
  signals_ = signalfd(-1, &mask_, SFD_CLOEXEC | SFD_NONBLOCK);
}

Children::~Children() {
  stop();
  close(signals_);
  sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
}

bool Children::start(const std::function<int()>& body) {
  int pipes[2][2] = {{-1, -1}, {-1, -1}};
  if (settings_.tag_output)
    for (auto& ends : pipes)
      if (pipe2(ends, O_CLOEXEC) != 0) return false;
  std::fflush(nullptr);  // or the child would print it again
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return false;
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);  // the parent died before the line above
    if (settings_.own_groups) setpgid(0, 0);
    if (settings_.tag_output) {
      dup2(pipes[0][1], STDOUT_FILENO);
      dup2(pipes[1][1], STDERR_FILENO);
    }
    sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
    const int code = guarded(settings_.program, body);
    std::fflush(nullptr);
    _exit(code);
  }
  if (settings_.own_groups) setpgid(pid, pid);  // on both sides: whoever comes first
  for (const auto& ends : pipes)
    if (ends[1] >= 0) close(ends[1]);
  children_.push_back({pid, true, {pipes[0][0], pipes[1][0]}, {}});
  return true;
}

bool Children::any_running() const {
  for (const Child& child : children_)
    if (child.running) return true;
  return false;
}

void Children::signal_all(int number) {
  for (const Child& child : children_)
    if (child.running) kill(settings_.own_groups ? -child.pid : child.pid, number);
}

void Children::ended(size_t index, int wait_status) {
  Child& child = children_[index];
  child.running = false;
  const int signal_number = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  const int code = signal_number ? 128 + signal_number : WEXITSTATUS(wait_status);
  if (code == 0 || code_ != 0 || interruption_ != 0) return;  // only the first failure is a cause
  code_ = code;
  if (signal_number)
    std::fprintf(stderr, "%s: rank %zu (pid %d) was killed by signal %d (%s)\n", settings_.program.c_str(), index, child.pid,
                 signal_number, strsignal(signal_number));
  else
    std::fprintf(stderr, "%s: rank %zu (pid %d) ended with exit code %d\n", settings_.program.c_str(), index, child.pid,
                 code);
}

void Children::reap() {
  for (size_t i = 0; i < children_.size(); ++i) {
    if (!children_[i].running) continue;
    siginfo_t info{};
    const pid_t pid = children_[i].pid;
    if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != pid) continue;
    // While it is a zombie, its number cannot name anybody else's group.
    if (settings_.own_groups) kill(-pid, SIGKILL);
    int wait_status = 0;
    waitpid(pid, &wait_status, 0);
    ended(i, wait_status);
  }
}

void Children::forward(size_t index, int stream) {
  Child& child = children_[index];
  char buffer[4096];
  const ssize_t got = read(child.pipes[stream], buffer, sizeof buffer);
  std::string& line = child.lines[stream];
  std::string out;
  const std::string tag = std::string("[").append(std::to_string(index)).append("] ");
  for (ssize_t i = 0; i < got; ++i) {
    line += buffer[i];
    if (buffer[i] != '\n') continue;
    out.append(tag).append(line);
    line.clear();
  }
  if (got <= 0) {
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (!line.empty()) out.append(tag).append(line).append(1, '\n');
    line.clear();
    close(child.pipes[stream]);
    child.pipes[stream] = -1;
  }
  write_all(stream == 0 ? STDOUT_FILENO : STDERR_FILENO, out);
}

// Reads output and signals; true if an interruption came.
bool Children::wait_for_news(int timeout_ms) {
  std::vector<pollfd> fds{{signals_, POLLIN, 0}};
  std::vector<std::pair<size_t, int>> readers;
  for (size_t i = 0; i < children_.size(); ++i)
    for (int stream = 0; stream < 2; ++stream)
      if (children_[i].pipes[stream] >= 0) {
        fds.push_back({children_[i].pipes[stream], POLLIN, 0});
        readers.emplace_back(i, stream);
      }
  if (poll(fds.data(), fds.size(), timeout_ms) <= 0) return false;
  for (size_t i = 0; i < readers.size(); ++i)
    if (fds[i + 1].revents) forward(readers[i].first, readers[i].second);
  bool interrupted = false;
  signalfd_siginfo info;
  while (read(signals_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;
    interruption_ = static_cast<int>(info.ssi_signo);
    interrupted = true;
  }
  return interrupted;
}

int Children::supervise() {
  enum class Phase { Running, Patience, Terminating, Killing } phase = Phase::Running;
  Clock::time_point next{};
  const auto output_open = [&] {
    for (const Child& child : children_)
      if (child.pipes[0] >= 0 || child.pipes[1] >= 0) return true;
    return false;
  };
  while (true) {
    reap();
    if (!any_running()) break;
    if (phase == Phase::Running && code_ != 0) {
      phase = Phase::Patience;
      next = in_seconds(settings_.patience_s);
    }
    if (phase != Phase::Running && phase != Phase::Killing && Clock::now() >= next) {
      signal_all(phase == Phase::Patience ? SIGTERM : SIGKILL);
      phase = phase == Phase::Patience ? Phase::Terminating : Phase::Killing;
      next = in_seconds(kTermToKill_s);
    }
    int timeout_ms = -1;
    if (phase == Phase::Patience || phase == Phase::Terminating) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
      timeout_ms = left > 0 ? static_cast<int>(left) : 0;
    }
    if (wait_for_news(timeout_ms)) {
      signal_all(interruption_);
      phase = Phase::Terminating;
      next = in_seconds(kTermToKill_s);
    }
  }
  // A descendant that left its group may hold a pipe open; what is written by now is all that is printed.
  const auto limit = in_seconds(0.2);
  while (output_open() && Clock::now() < limit) wait_for_news(20);
  return interruption_ ? 128 + interruption_ : code_;
}

void Children::stop() {
  if (!any_running()) return;
  signal_all(SIGKILL);
  for (Child& child : children_)
    if (child.running) {
      waitpid(child.pid, nullptr, 0);
      child.running = false;
    }
}

}  // namespace tutti::tool
