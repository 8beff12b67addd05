// ranks: what the tests of this room share: settings for loopback, ranks as threads, ranks as processes.
//
// A process rank writes what it sees into a page shared with the test, and leaves with exit code 0 if its body returned
// true. Waiting is always for a condition, with a deadline.
#pragma once
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/clock.h"
#include "lib/boot/boot.h"

namespace tutti::test {

inline Settings loopback(const char* init_timeout = "20", const char* comm_id = nullptr) {
  setenv("TUTTI_SOCKET_IFNAME", "lo", 1);
  setenv("TUTTI_INIT_TIMEOUT", init_timeout, 1);
  if (comm_id)
    setenv("TUTTI_COMM_ID", comm_id, 1);
  else
    unsetenv("TUTTI_COMM_ID");
  Result<Settings> settings = Settings::load();
  if (!settings.ok()) throw std::runtime_error(settings.status().text());
  return std::move(settings.value());
}

// False when `seconds` have passed without `condition`.
inline bool eventually(double seconds, const std::function<bool()>& condition) {
  const Deadline deadline = Deadline::after_s(seconds);
  while (!condition()) {
    if (deadline.passed()) return condition();
    usleep(500);
  }
  return true;
}

// Entries of a directory of /proc/self: descriptors, threads.
int count_entries(const char* directory);

// This process's threads that the library has started; those of them that run.
int library_threads();
int running_library_threads();

// The callbacks of one rank, and what came of them.
class Watch {
 public:
  Control::Callbacks callbacks() {
    return {[this](const Cause& cause) {
              const std::lock_guard<std::mutex> lock(mutex_);
              cause_ = cause;
              ++aborts;
            },
            [this](uint64_t number) {
              const std::lock_guard<std::mutex> lock(mutex_);
              Activity answer = activity_;
              if (const auto called = calls_.find(number); called != calls_.end()) answer.then = called->second;
              return answer;
            }};
  }
  void set_activity(const Activity& activity) {
    const std::lock_guard<std::mutex> lock(mutex_);
    activity_ = activity;
  }
  void set_call(uint64_t number, const std::string& call) {
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_[number] = call;
  }
  Cause cause() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return cause_;
  }
  bool aborted(double seconds) {
    return eventually(seconds, [this] { return aborts.load() > 0; });
  }
  std::atomic<int> aborts{0};

 private:
  std::mutex mutex_;
  Cause cause_{};
  Activity activity_{0, 0, "idle"};
  std::map<uint64_t, std::string> calls_;
};

inline const std::atomic<bool> kNoCancel{false};

// All ranks of one communicator in this process.
struct Crew {
  explicit Crew(int ranks) : watches(static_cast<size_t>(ranks)), statuses(watches.size()), controls(watches.size()) {}
  // Joins with one thread per rank; true if all came through.
  bool join(const Settings& settings, const UniqueId& id) {
    return each([&](int rank) {
      const auto at = static_cast<size_t>(rank);
      auto control =
          Control::join(settings, id, rank, static_cast<int>(controls.size()), watches[at].callbacks(), kNoCancel);
      if (control.ok())
        controls[at] = std::move(control.value());
      else
        statuses[at] = control.status();
      return control.ok();
    });
  }
  // Runs `body(rank)` in one thread per rank; true if all returned true.
  bool each(const std::function<bool(int)>& body) {
    std::atomic<bool> all{true};
    std::vector<std::thread> threads;
    for (int rank = 0; rank < static_cast<int>(controls.size()); ++rank)
      threads.emplace_back([&, rank] {
        if (!body(rank)) all = false;
      });
    for (std::thread& thread : threads) thread.join();
    return all;
  }
  void leave_and_destroy() {
    each([&](int rank) {
      auto& control = controls[static_cast<size_t>(rank)];
      if (control) control->leave();
      control.reset();
      return true;
    });
  }
  std::vector<Watch> watches;
  std::vector<Status> statuses;
  std::vector<std::unique_ptr<Control>> controls;
};

// What the test and its process ranks see of each other.
struct Board {
  static constexpr int kRanks = 16;
  struct Row {
    std::atomic<int> joined{0}, failed{0};
    std::atomic<int> aborts{0};
    std::atomic<int> code{0}, guilty{-2};
    std::atomic<int64_t> at_ns{0};  // of the abort, or of what a test notes
    char text[1024] = {};
    // For a rank that could not join.
    bool fail(const Status& status) {
      std::snprintf(text, sizeof text, "%s", status.text().c_str());
      failed = 1;
      return false;
    }
  };
  std::atomic<bool> forked{false};  // all ranks
  std::atomic<int> go{0};           // raised by the test
  Row rows[kRanks];
};

class Processes {
 public:
  using Body = std::function<bool(int rank, Board& board)>;
  // Forks while the library's threads in this process sleep: a sanitizer's allocator does not survive a fork() beside a thread that allocates.
  // So a rendezvous of before gets the second in which it may end, and the ranks, which wake another one here, begin when all are forked.
  Processes(int ranks, const Body& body) {
    void* page = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    board_ = new (page) Board;
    eventually(1.2, [] { return library_threads() <= 1; });
    eventually(5, [] { return running_library_threads() == 0; });
    for (int rank = 0; rank < ranks; ++rank) {
      const pid_t pid = fork();
      if (pid == 0) {
        const bool good = eventually(60, [&] { return board_->forked.load(); }) && body(rank, *board_);
        _exit(good ? 0 : 1);
      }
      pids_.push_back(pid);
    }
    board_->forked = true;
  }
  ~Processes() {
    for (size_t i = 0; i < pids_.size(); ++i) {
      if (pids_[i] <= 0) continue;
      kill(pids_[i], SIGKILL);
      waitpid(pids_[i], nullptr, 0);
    }
    munmap(board_, sizeof(Board));
  }
  Board& board() { return *board_; }
  // Sends a signal. After SIGSTOP it waits until the process has stopped.
  void signal(int rank, int number) {
    const pid_t pid = pids_[static_cast<size_t>(rank)];
    kill(pid, number);
    siginfo_t info;
    if (number == SIGSTOP) waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED | WEXITED | WNOWAIT);
  }
  // The wait status of a rank's process, -1 if it does not end in time.
  int ended(int rank, double seconds) {
    int status = -1;
    pid_t& pid = pids_[static_cast<size_t>(rank)];
    if (!eventually(seconds, [&] { return waitpid(pid, &status, WNOHANG) == pid; })) return -1;
    pid = 0;
    return status;
  }
  // If not, says on stderr why not.
  bool all_joined(double seconds) {
    const auto all_have_joined = [this] {
      return std::all_of(board_->rows, board_->rows + pids_.size(), [](Board::Row& row) { return row.joined.load() != 0; });
    };
    const auto any_failed = [this] {
      return std::any_of(board_->rows, board_->rows + pids_.size(), [](Board::Row& row) { return row.failed.load() != 0; });
    };
    eventually(seconds, [&] { return all_have_joined() || any_failed(); });
    if (all_have_joined()) return true;
    for (size_t rank = 0; rank < pids_.size(); ++rank)
      if (const Board::Row& row = board_->rows[rank]; row.joined.load() == 0)
        std::fprintf(stderr, "rank %zu has not joined: %s\n", rank, row.failed.load() != 0 ? row.text : "it is still joining");
    return false;
  }

 private:
  Board* board_;
  std::vector<pid_t> pids_;
};

// The callbacks of a process rank: they write to its row.
inline Control::Callbacks callbacks_to(Board::Row& row, Activity activity = {0, 0, "idle"}) {
  return {[&row](const Cause& cause) {
            row.code = static_cast<int>(cause.code);
            row.guilty = cause.rank;
            std::strncpy(row.text, cause.text.c_str(), sizeof row.text - 1);
            row.at_ns = now_ns();
            ++row.aborts;
          },
          [activity](uint64_t) { return activity; }};
}

}  // namespace tutti::test
