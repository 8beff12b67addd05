// merge: writes the events of all files as one trace: a process for each rank, a thread for each communicator and stream.
#pragma once
#include <cstdio>
#include <string>

#include "tools/trace/run.h"

namespace tutti::trace {

class Merge {
 public:
  // zero_ns: the time that becomes 0. Throws Failure if the file cannot be written, also below.
  Merge(const Run& run, const std::string& path, int64_t zero_ns);
  ~Merge();
  Merge(const Merge&) = delete;
  Merge& operator=(const Merge&) = delete;
  // The event of run.sources[source] becomes one of the merged trace.
  void add(size_t source, Json& event);
  // Ends the file. Without it the file is removed.
  void finish();

 private:
  void write(const Json& event);
  void name_row(size_t source, int64_t tid, const std::string& name);
  [[noreturn]] void fail();

  const Run& run_;
  const std::string path_;
  const int64_t zero_ns_;
  std::FILE* file_;
  bool first_ = true, finished_ = false;
};

}  // namespace tutti::trace
