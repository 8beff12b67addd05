// flight: what a rank reports when its communicator fails: the Recorder's calls, in a file or on stderr. docs/trace.md describes the file.
//
// The report is made once, in a thread of its own: the control thread, which hears of a failure first, must not wait for a disk. That thread
// gives a call that is under way a moment to end, because the call knows for whom it waits.
#pragma once
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "lib/base/condition.h"
#include "lib/base/thread.h"
#include "lib/boot/boot.h"
#include "lib/comm/identity.h"
#include "lib/comm/recorder.h"

namespace tutti {

// What a rank was doing when its communicator failed.
struct LastMoments {
  Identity identity;
  std::string failure;
  Activity activity;
  std::vector<PastCall> calls;
  TickTime began;  // when the communicator was made
};

class Flight {
 public:
  explicit Flight(std::function<LastMoments(const std::string& failure)> look) : look_(std::move(look)) {}
  ~Flight() { finish(); }
  Flight(const Flight&) = delete;
  Flight& operator=(const Flight&) = delete;

  // Where to write; "", or a folder that cannot be written, which is a warning: to stderr, if the level of the log is INFO or more. Until it is
  // called nothing is reported.
  void open(const std::string& folder, int rank);
  // Begins the report, unless it has begun. Any thread; does not wait.
  void report(const std::string& failure) noexcept;
  // Until the report that has begun is written, 2 s at most.
  void wait() noexcept;
  // Until its thread has ended. Nothing may be reported afterwards.
  void finish() noexcept;

 private:
  void write(const std::string& failure) noexcept;

  const std::function<LastMoments(const std::string&)> look_;
  std::mutex mutex_;  // guards all below
  Condition changed_;
  std::string folder_;
  int rank_ = 0;
  bool open_ = false, begun_ = false, awaited_ = false, written_ = false;
  Thread thread_;
};

// The file's lines after the first bracket, and the text for the log.
std::vector<std::string> lines_of(const LastMoments& moments);
std::string text_of(const LastMoments& moments);

}  // namespace tutti
