// report: the table, in nccl-tests' columns, and the JSON file. Only rank 0 has one.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perf/measure.h"

namespace tutti::perf {

struct Row {
  size_t bytes, count;
  std::string type, op;
  int root;
  double bus_factor;  // bus bandwidth per algorithm bandwidth
  bool checked;
  Measured out_of_place;
  std::optional<Measured> in_place;  // none: the collective has no such call
};

// The table's parts, shared with the floor: `about` is one line without "#".
void print_header(const std::string& about, const std::vector<std::string>& ranks, bool percentiles);
void print_row(const Row& row, bool percentiles);
void print_totals(uint64_t wrong, double average_bus_GBps);

class Report {
 public:
  Report(const Options& options, const Collective& collective, int ranks);
  void open(const std::vector<std::string>& ranks);
  void skipped(size_t bytes);
  void add(Row row);
  // False: the file could not be written; a sentence is on stderr.
  bool close();
  uint64_t wrong() const { return wrong_; }

 private:
  bool write_json() const;
  bool table() const { return options_.json_path != "-"; }
  double average_bus_GBps() const;

  const Options& options_;
  const Collective& collective_;
  int ranks_;
  std::vector<std::string> places_;
  std::vector<Row> rows_;
  uint64_t wrong_ = 0;
};

}  // namespace tutti::perf
