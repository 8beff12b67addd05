// flight: see flight.h.
#include "lib/comm/flight.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "lib/base/log.h"
#include "lib/comm/call.h"
#include "lib/trace/file.h"

namespace tutti {
namespace {

constexpr size_t kMostBytes = 1 << 20;
constexpr size_t kShown = 8;  // calls in the log
constexpr double kWaitS = 2;
constexpr double kMomentS = 0.1;

std::string text_of(const PastCall& call) {
  return call.single ? describe_single(call.signature, call.sends, call.peer) : describe(call.signature);
}

std::string seconds(int64_t ns) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", static_cast<double>(ns) * 1e-9);
  return text;
}

}  // namespace

std::vector<std::string> lines_of(const LastMoments& moments) {
  const TickTime now;
  std::vector<std::string> lines;
  const auto take = [&](Line& line) { lines.emplace_back(line.take()); };
  Line line = moments.identity.header("flight");
  const Activity& activity = moments.activity;
  line.text("failure", moments.failure).text("doing", activity.text).number("entered", static_cast<int64_t>(activity.entered));
  line.number("finished", static_cast<int64_t>(activity.finished)).time("failed", now.ns).close();
  take(line);
  lines.push_back(moments.identity.process_name());
  const int rank = moments.identity.options.rank;
  for (const PastCall& call : moments.calls) {
    const char* const name = call.single ? (call.sends ? "Send" : "Recv") : name_of(kind_of(call.signature));
    const int64_t began = ns_of(call.began, moments.began, now);
    line.text("ph", call.finished ? "X" : "B").text("cat", "call").text("name", name).number("pid", rank).number("tid", call.single);
    line.time("ts", began);
    if (call.finished) line.time("dur", std::max<int64_t>(0, ns_of(call.ended, moments.began, now) - began));
    line.open("args").number("number", static_cast<int64_t>(call.number)).text("call", text_of(call)).number("stream", call.stream);
    if (call.single) line.number("peer", call.peer);
    line.flag("finished", call.finished).close();
    take(line);
  }
  return lines;
}

std::string text_of(const LastMoments& moments) {
  const TickTime now;
  std::string text = concat("at the failure of ", moments.identity.options.title(), " this rank was: ", moments.activity.text, "; its last calls:");
  const size_t count = moments.calls.size();
  for (size_t i = count > kShown ? count - kShown : 0; i < count; ++i) {
    const PastCall& call = moments.calls[i];
    const int64_t began = ns_of(call.began, moments.began, now);
    text += concat("\n  #", call.number, " ", text_of(call), ", began ", seconds(now.ns - began), " s ago, ");
    text += call.finished ? concat("took ", seconds(ns_of(call.ended, moments.began, now) - began), " s") : "not finished";
  }
  return count == 0 ? text + " none" : text;
}

void Flight::finish() noexcept {
  if (thread_.joinable()) thread_.join();
}

void Flight::open(const std::string& folder, int rank) {
  std::error_code error;
  const std::string path = folder.empty() ? "" : std::filesystem::absolute(folder, error).string();  // the program may go elsewhere
  Status writable = error ? fail(Code::SystemError, error.message()) : path.empty() ? Status() : check_folder(path);
  if (!writable.ok()) log_line(LogLevel::Warn, rank, concat("no report will be written if the communicator fails: ", writable.text()));
  std::lock_guard lock(mutex_);
  folder_ = writable.ok() ? path : "";
  rank_ = rank;
  open_ = !folder_.empty() || log_enabled(LogLevel::Info);
}

void Flight::report(const std::string& failure) noexcept {
  try {
    std::lock_guard lock(mutex_);
    if (!open_ || std::exchange(begun_, true)) return;
    written_ = !start_thread(&thread_, "tutti-flight", [this, failure] { write(failure); }).ok();
  } catch (const std::exception&) {
    // There is no memory for a report.
  }
}

void Flight::wait() noexcept {
  std::unique_lock lock(mutex_);
  awaited_ = true;
  changed_.notify_all();
  if (begun_) (void)changed_.wait_until(lock, Deadline::after_s(kWaitS), [&] { return written_; });
}

void Flight::write(const std::string& failure) noexcept {
  {
    std::unique_lock lock(mutex_);
    (void)changed_.wait_until(lock, Deadline::after_s(kMomentS), [&] { return awaited_; });
  }
  try {
    const LastMoments moments = look_(failure);
    log_info(rank_, text_of(moments));
    if (!folder_.empty()) {  // nobody changes it any more
      Result<TraceFile> file = TraceFile::make(folder_, moments.identity.file_name("flight"), kMostBytes);
      Status status = file.status();
      for (const std::string& line : lines_of(moments))
        if (status.ok()) status = file.value().add(line);
      if (status.ok()) status = file.value().close();
      if (!status.ok()) log_line(LogLevel::Warn, rank_, concat("no report of the failure: ", status.text()));
    }
  } catch (const std::exception&) {
    // There is no memory for a report.
  }
  std::lock_guard lock(mutex_);
  written_ = true;
  changed_.notify_all();
}

}  // namespace tutti
