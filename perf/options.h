// options: the command line of the benchmarks, nccl-tests' flags and Tutti's own.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "perf/collective.h"
#include "tools/launch/launch.h"
#include "tutti/tutti.h"

namespace tutti::perf {

inline constexpr int kAllRoots = -1;
inline constexpr int kMostRanks = 1024;  // of one communicator

enum class Average { Rank0, Mean, Min, Max };

struct Options {
  size_t min_bytes = 8, max_bytes = size_t{64} << 20;
  size_t step_bytes = 0;  // 0: grow by step_factor
  size_t step_factor = 2;
  int iterations = 20, warmup = 5, aggregate = 1, checks = 1;
  std::vector<tuttiRedOp_t> ops;
  std::vector<tuttiDataType_t> types;
  int root = 0;
  bool blocking = true, stream_null = true;
  std::string timeout_s;  // as the user wrote it; "": the library's default
  Average average = Average::Mean;
  int ranks_per_thread = 1, threads = 1;
  int processes = 0;  // 0: the launcher's, else 2
  int registration = 0;
  bool percentiles = false;
  tool::Bind bind = tool::Bind::IfFree;
  std::string as;         // mock-up to measure instead of the collective, "": none
  std::string json_path;  // "": none, "-": stdout
};

// No value: the command line is answered (help, or an error's sentence on stderr) and the program ends with `exit_code`.
struct Parsed {
  std::optional<Options> options;
  int exit_code = 0;
};
Parsed parse_options(const Collective& collective, int argc, char** argv);

// The size that follows `bytes`, or 0 when there is none.
size_t next_size(const Options& options, size_t bytes);

const char* name_of(tuttiDataType_t type);
const char* name_of(tuttiRedOp_t op);

}  // namespace tutti::perf
