// source: a file that a rank has written: a trace, or the report of a failure. docs/trace.md describes both.
//
// Files are read line by line, so that one whose end is missing, because its rank was killed, is as good as another.
#pragma once
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tutti::trace {

using Json = nlohmann::ordered_json;

// The first line of a file.
struct Source {
  std::string path;
  bool flight = false;  // the report of a failure
  std::string host, machine, process, communicator, key, root;
  int pid = 0, rank = 0, ranks = 1, root_rank = 0;
  int64_t offset_ns = 0, uncertainty_ns = 0, clock_ns = 0, wall_clock_ns = 0;
  std::string failure, doing;  // of a flight
  int64_t failed_ns = 0;
};

struct Folder {
  std::vector<Source> sources;
  std::vector<std::string> complaints;  // a sentence for each file that is of no use
};
// All files of the folder whose names end with .json. Throws Failure if the folder cannot be read, or has none that is of use.
Folder read_folder(const std::string& path);

struct Reading {
  uint64_t lines = 0, damaged = 0;  // lines that are no event
  bool whole = false;               // the array has its end
};
// Calls visit(event) for all events of a file but its first line. Every event is an object with a text "ph" and a text "name".
Reading read_events(const std::string& path, const std::function<void(Json& event)>& visit);

// Members, or their defaults where they are missing or something else.
std::string text_in(const Json& object, const char* name);
int64_t number_in(const Json& object, const char* name);
// Microseconds as nanoseconds.
int64_t time_in(const Json& object, const char* name);
const Json& arguments_of(const Json& event);

}  // namespace tutti::trace
