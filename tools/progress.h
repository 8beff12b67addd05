// progress: one line on stderr that says how far a long job is, and about how long the rest takes. It is rewritten in place, and gone at the
// end. If stderr is not a terminal, nothing is written.
#pragma once
#include <cstdint>
#include <string>

namespace tutti::tool {

class Progress {
 public:
  // what: "simulating"; units: what `total` counts, like "pairs of hosts".
  Progress(std::string what, std::string units, double total);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // done: of the total; may have a fraction. detail: what the job is at. Writes at most ten times a second.
  void at(double done, const std::string& detail = "");
  // Takes the line away, so that other text can be written. The next at() writes it again.
  void clear();

 private:
  const std::string what_, units_;
  const double total_;
  const bool terminal_;
  const int64_t began_ns_;
  int64_t written_ns_ = 0;  // 0: not yet
  bool shown_ = false;
};

// "simulating: 3 of 24 sizes, 12 %, about 40 s left (ring)"
std::string progress_text(const std::string& what, const std::string& units, double done, double total, double elapsed_s,
                          const std::string& detail);

}  // namespace tutti::tool
