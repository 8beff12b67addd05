// trace_writer: the thread of a Tracer, which turns events into lines of its file.
#include <algorithm>

#include "lib/base/log.h"
#include "lib/comm/tracer.h"

namespace tutti {
namespace {

constexpr double kPauseS = 0.05;  // between two looks at the ring
constexpr double kFlushS = 1;
constexpr size_t kMostStreams = 16;  // with rows of their own; they share the last one beyond that
constexpr size_t kMostNamed = 16;

}  // namespace

Tracer::Tracer(TraceFile file, const Identity& identity, bool crowded)
    : most_events_(crowded ? kMostEventsCrowded : kMostEvents),
      most_details_(most_events_ * 7 / 10),
      rank_(identity.options.rank),
      file_(std::move(file)) {}

Result<std::unique_ptr<Tracer>> Tracer::start(const std::string& folder, const Identity& identity, int64_t began_ns, bool crowded) {
  Result<TraceFile> file = TraceFile::make(folder, identity.file_name("trace"), kMostFileBytes);
  if (!file.ok()) return file.status();
  std::unique_ptr<Tracer> tracer(new Tracer(std::move(file.value()), identity, crowded));
  Tracer* const self = tracer.get();
  Line init;
  init.text("ph", "X").text("cat", "life").text("name", "init").number("pid", identity.options.rank).number("tid", 0);
  init.time("ts", began_ns).time("dur", now_ns() - began_ns);
  TUTTI_TRY(self->file_.add(identity.header("trace").close().take()));
  TUTTI_TRY(self->file_.add(identity.process_name()));
  TUTTI_TRY(self->file_.add(init.take()));
  TUTTI_TRY(start_thread(&self->thread_, "tutti-trace", [self] { self->run(); }));
  return tracer;
}

Tracer::~Tracer() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Tracer::flush() {
  std::unique_lock lock(mutex_);
  const uint64_t mine = ++asked_;
  changed_.notify_all();
  (void)changed_.wait_until(lock, Deadline::after_s(kFlushS), [&] { return written_ >= mine; });
}

void Tracer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const uint64_t asked = asked_;
    const bool ends = ending_;
    lock.unlock();
    try {
      write_all();
      if (ends) give_up(file_.close());
    } catch (const std::exception&) {
      give_up(Status::out_of_memory());
    }
    lock.lock();
    written_ = asked;
    changed_.notify_all();
    if (ends) return;
    (void)changed_.wait_until(lock, Deadline::after_s(kPauseS), [&] { return ending_ || asked_ != asked; });
  }
}

// A trace that cannot be written stops no job.
void Tracer::give_up(const Status& failure) {
  if (failure.ok() || std::exchange(gave_up_, true)) return;
  try {
    log_line(LogLevel::Warn, rank_, concat("the trace ends here: ", failure.text()));
  } catch (const std::exception&) {
    // There is no memory for a line of the log.
  }
}

void Tracer::write_all() {
  ring_.take([&](const Event& event) { write(event); });
  const uint64_t calls = lost_calls_.load(std::memory_order_relaxed), details = lost_details_.load(std::memory_order_relaxed);
  if (calls + details != told_lost_) {
    told_lost_ = calls + details;
    line_.text("ph", "M").text("name", "left out").number("pid", rank_).number("tid", 0);
    line_.open("args").number("calls", static_cast<int64_t>(calls)).number("details", static_cast<int64_t>(details)).close();
    give_up(file_.add(line_.take()));
  }
  give_up(file_.flush());
}

const std::string& Tracer::text_of(const Event& event) {
  for (const Named& named : named_)
    if (named.signature == event.signature && named.sends == event.sends && named.peer == event.peer) return named.text;
  const bool single = kind_of(event.signature) == CallKind::PointToPoint;
  if (named_.size() < kMostNamed) named_.emplace_back();
  Named& named = named_[next_named_++ % kMostNamed];
  named = {event.signature, event.sends, event.peer,
           single ? describe_single(event.signature, event.sends, event.peer) : describe(event.signature)};
  return named.text;
}

void Tracer::write_row(uint32_t tid, const Event& event) {
  if (std::find(rows_.begin(), rows_.end(), tid) != rows_.end()) return;
  rows_.push_back(tid);
  line_.text("ph", "M").text("name", "thread_name").number("pid", rank_).number("tid", tid).open("args");
  line_.text("name", concat(event.stream == 0 ? "stream NULL" : concat("stream ", event.stream), event.lane == 0 ? "" : concat(", beside it ", event.lane)));
  line_.number("stream", event.stream).number("lane", event.lane).close();
  give_up(file_.add(line_.take()));
}

void Tracer::write(const Event& event) {
  auto row = std::find(streams_.begin(), streams_.end(), event.stream);
  if (row == streams_.end() && streams_.size() < kMostStreams) row = streams_.insert(row, event.stream);
  const size_t index = row == streams_.end() ? kMostStreams - 1 : static_cast<size_t>(row - streams_.begin());
  const uint32_t tid = static_cast<uint32_t>(index * kLanes + event.lane);
  write_row(tid, event);
  const CallKind kind = kind_of(event.signature);
  const bool single = kind == CallKind::PointToPoint;
  const auto head = [&](const char* phase, const char* category, std::string_view name) {
    line_.text("ph", phase).text("cat", category).text("name", name).number("pid", rank_).number("tid", tid).time("ts", event.begin_ns);
    if (event.kind != Event::Kind::Tile) line_.time("dur", event.end_ns - event.begin_ns);
  };
  const auto number = [&](const char* name, uint64_t value) { line_.number(name, static_cast<int64_t>(value)); };
  switch (event.kind) {
    case Event::Kind::Call:
      head("X", "call", single ? (event.sends ? "Send" : "Recv") : name_of(kind));
      line_.open("args");
      number("number", event.number);
      line_.text("call", text_of(event));
      if (event.algorithm) line_.text("algorithm", event.algorithm);
      number("bytes", event.bytes);
      number("tiles", event.tiles);
      if (single) line_.number("peer", event.peer);
      if (event.failed) line_.flag("failed", true);
      break;
    case Event::Kind::Send:
    case Event::Kind::Combine:
      head("X", "step", event.kind == Event::Kind::Send ? "send" : "combine");
      line_.open("args");
      number("work", event.work);
      number("tile", event.tile);
      number("bytes", event.bytes);
      if (event.peer >= 0) line_.number("peer", event.peer);
      break;
    case Event::Kind::Wait:
      name_ = "wait for rank ";
      name_ += std::to_string(event.peer);
      head("X", "wait", name_);
      line_.open("args").number("peer", event.peer);
      break;
    case Event::Kind::Tile:
      head("i", "tile", "tile done");
      line_.text("s", "t").open("args");
      number("tile", event.tile);
      break;
  }
  line_.close();
  give_up(file_.add(line_.take()));
}

}  // namespace tutti
