// children: processes forked by this one, watched until the last has ended.
//
// The first child that fails ends all: the others get `patience_s` to report what they saw, then SIGTERM, then SIGKILL. SIGINT, SIGTERM and
// SIGHUP to this process end them in the same way. A child dies with this process, even if SIGKILL ends it. From the constructor on these
// signals and SIGCHLD are blocked in this process and read from a descriptor. No handler runs.
// REQUIRES: no other threads yet, and no other children.
#pragma once
#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace tutti::tool {

class Children {
 public:
  struct Settings {
    std::string program;      // opens every message
    double patience_s = 0;    // between a child's failure and SIGTERM to the others
    bool own_groups = false;  // each child leads a process group, which is killed with it: for commands that fork
    bool tag_output = false;  // a child's lines on stdout and stderr begin with "[its number] "
  };
  explicit Children(Settings settings);
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Forks and runs `body` in the child, with the signal mask restored, inside of guarded() (tool.h). The child exits with its result.
  // False: the fork failed (errno); then call stop().
  bool start(const std::function<int()>& body);
  // Ends all that run, without a message.
  void stop();
  // Waits for all. The first failing child's exit code (128 + signal), 128 + signal of an interruption, 0 if all is well.
  int supervise();

 private:
  struct Child {
    pid_t pid;
    bool running;
    int pipes[2];          // what it writes to stdout and stderr, -1: not tagged, or closed
    std::string lines[2];  // unfinished lines
  };
  void signal_all(int number);
  void reap();
  void ended(size_t index, int wait_status);
  void forward(size_t index, int stream);
  bool any_running() const;
  bool wait_for_news(int timeout_ms);

  Settings settings_;
  sigset_t old_mask_, mask_;
  int signals_ = -1;
  std::vector<Child> children_;
  int code_ = 0;
  int interruption_ = 0;
};

}  // namespace tutti::tool
