// merge: see merge.h.
#include "tools/trace/merge.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tools/failure.h"

namespace tutti::trace {
namespace {

constexpr int64_t kTidsPerFile = 1000;

double microseconds(int64_t ns) { return static_cast<double>(ns) / 1000; }

}  // namespace

Merge::Merge(const Run& run, const std::string& path, int64_t zero_ns)
    : run_(run), path_(path), zero_ns_(zero_ns), file_(std::fopen(path.c_str(), "w")) {
  if (!file_) fail();
  write({{"ph", "M"}, {"name", "tutti"}, {"pid", 0}, {"tid", 0},
         {"args", {{"kind", "merged"}, {"format", 1}, {"ranks", run.ranks}, {"uncertainty_ns", run.uncertainty_ns}, {"zero_ns", zero_ns}}}});
  for (const auto& [pid, name] : run.names) {
    write({{"ph", "M"}, {"name", "process_name"}, {"pid", pid}, {"tid", 0}, {"args", {{"name", name}}}});
    write({{"ph", "M"}, {"name", "process_sort_index"}, {"pid", pid}, {"tid", 0}, {"args", {{"sort_index", pid}}}});
  }
  for (size_t i = 0; i < run.sources.size(); ++i) {
    const Source& source = run.sources[i];
    name_row(i, 0, source.communicator);
    if (source.flight)
      write({{"ph", "i"}, {"s", "p"}, {"cat", "failure"}, {"name", "failed"}, {"pid", run.rows[i].pid}, {"tid", static_cast<int64_t>(i) * kTidsPerFile},
             {"ts", microseconds(source.failed_ns + run.rows[i].shift_ns - zero_ns)},
             {"args", {{"failure", source.failure}, {"doing", source.doing}}}});
  }
}

Merge::~Merge() {
  if (!file_) return;
  std::fclose(file_);
  std::error_code none;
  if (!finished_ && std::filesystem::is_regular_file(std::filesystem::symlink_status(path_, none))) std::remove(path_.c_str());  // not a device
}

void Merge::fail() { throw tool::Failure("cannot write " + path_ + ": " + std::strerror(errno)); }

void Merge::write(const Json& event) {
  const std::string text = (first_ ? "[\n" : ",\n") + event.dump(-1, ' ', false, Json::error_handler_t::replace);
  first_ = false;
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) fail();
}

void Merge::name_row(size_t source, int64_t tid, const std::string& name) {
  write({{"ph", "M"}, {"name", "thread_name"}, {"pid", run_.rows[source].pid}, {"tid", static_cast<int64_t>(source) * kTidsPerFile + tid}, {"args", {{"name", name}}}});
}

void Merge::add(size_t index, Json& event) {
  const Source& source = run_.sources[index];
  const Row& row = run_.rows[index];
  const int64_t tid = std::clamp<int64_t>(number_in(event, "tid"), 0, kTidsPerFile - 1);
  const std::string phase = text_in(event, "ph"), name = text_in(event, "name");
  if (phase == "M") {
    if (name == "thread_name") name_row(index, tid, source.communicator + ", " + text_in(arguments_of(event), "name"));
    return;
  }
  if (row.repeated) return;
  event["pid"] = row.pid;
  event["tid"] = static_cast<int64_t>(index) * kTidsPerFile + tid;
  event["ts"] = microseconds(time_in(event, "ts") + row.shift_ns - zero_ns_);
  write(event);
}

void Merge::finish() {
  if (std::fputs("\n]\n", file_) < 0 || std::fflush(file_) != 0 || std::ferror(file_)) fail();
  finished_ = true;
}

}  // namespace tutti::trace
