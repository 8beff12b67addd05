// source: see source.h.
#include "tools/trace/source.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "tools/failure.h"

namespace tutti::trace {
namespace {

constexpr int kFormat = 1;
constexpr int64_t kMostNs = int64_t{1} << 60;  // 36 years: what is beyond is no time
constexpr int kMostRanks = 1024;

// The object of a line; discarded: it is none.
Json parse(std::string line) {
  while (!line.empty() && (line.back() == ',' || line.back() == '\r' || line.back() == ' ')) line.pop_back();
  return Json::parse(line, nullptr, false);
}

bool is_frame(const std::string& line) { return line.empty() || line == "[" || line == "]"; }

// Why the file is of no use; "": nothing is wrong; none: it is what this tool itself has written.
std::optional<std::string> read_header(const std::string& path, Source& source) {
  std::ifstream file(path);
  if (!file) return std::string("cannot be read: ") + std::strerror(errno);
  std::string line;
  while (std::getline(file, line) && is_frame(line)) {
  }
  if (is_frame(line)) return "is empty";
  const Json header = parse(line);
  if (!header.is_object() || text_in(header, "name") != "tutti") return "is no trace of Tutti";
  const Json& about = arguments_of(header);
  const std::string kind = text_in(about, "kind");
  if (kind == "merged") return std::nullopt;
  if (number_in(about, "format") != kFormat) return "has a format that this version does not know";
  source.path = path;
  source.flight = kind == "flight";
  source.host = text_in(about, "host");
  source.machine = text_in(about, "machine");
  source.process = text_in(about, "process");
  source.communicator = text_in(about, "communicator");
  source.key = text_in(about, "key");
  source.root = text_in(about, "root");
  source.pid = static_cast<int>(number_in(about, "pid"));
  source.ranks = static_cast<int>(number_in(about, "ranks"));
  source.rank = static_cast<int>(number_in(about, "rank"));
  source.root_rank = static_cast<int>(number_in(about, "root_rank"));
  source.offset_ns = number_in(about, "offset_ns");
  source.uncertainty_ns = number_in(about, "uncertainty_ns");
  source.clock_ns = number_in(about, "clock_ns");
  source.wall_clock_ns = number_in(about, "wall_clock_ns");
  source.failure = text_in(about, "failure");
  source.doing = text_in(about, "doing");
  source.failed_ns = time_in(about, "failed");
  const bool sound = source.ranks >= 1 && source.ranks <= kMostRanks && source.rank >= 0 && source.rank < source.ranks && !source.key.empty() &&
                     source.root_rank >= 0 && source.root_rank < kMostRanks && (source.flight || kind == "trace");
  return sound ? "" : "has a damaged first line";
}

}  // namespace

std::string text_in(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

int64_t number_in(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return 0;
  const int64_t number = found->get<int64_t>();
  return std::clamp<int64_t>(number, -kMostNs * 4, kMostNs * 4);
}

int64_t time_in(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return 0;
  const double ns = found->get<double>() * 1000;
  return std::abs(ns) < static_cast<double>(kMostNs) ? std::llround(ns) : 0;
}

const Json& arguments_of(const Json& event) {
  static const Json none = Json::object();
  const auto found = event.find("args");
  return found != event.end() && found->is_object() ? *found : none;
}

Reading read_events(const std::string& path, const std::function<void(Json& event)>& visit) {
  Reading reading;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line == "]") reading.whole = true;
    if (is_frame(line)) continue;
    if (++reading.lines == 1) continue;
    Json event = parse(line);
    if (event.is_object() && !text_in(event, "ph").empty() && !text_in(event, "name").empty())
      visit(event);
    else
      ++reading.damaged;
  }
  return reading;
}

Folder read_folder(const std::string& path) {
  std::error_code error;
  std::vector<std::string> paths;
  for (std::filesystem::directory_iterator at(path, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".json") paths.push_back(at->path().string());
  if (error) throw tool::Failure("cannot read the folder " + path + ": " + error.message());
  std::sort(paths.begin(), paths.end());
  Folder folder;
  for (const std::string& one : paths) {
    Source source;
    const std::optional<std::string> wrong = read_header(one, source);
    if (!wrong) continue;
    if (wrong->empty())
      folder.sources.push_back(std::move(source));
    else
      folder.complaints.push_back(one + " " + *wrong);
  }
  if (!folder.sources.empty()) return folder;
  std::string why = "there is no trace in " + path;
  for (const std::string& complaint : folder.complaints) why += "; " + complaint;
  throw tool::Failure(why + " (a program writes one if it runs with TUTTI_TRACE=" + path + ")");
}

}  // namespace tutti::trace
