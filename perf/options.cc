// options: see options.h.
#include "perf/options.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "perf/mockups.h"
#include "tools/tool.h"

namespace tutti::perf {

using namespace tool;

namespace {

constexpr double kMostSeconds = 1e9;  // the largest TUTTI_TIMEOUT

constexpr const char* kTypeNames[tuttiNumTypes] = {"int8", "uint8", "int32",  "uint32",   "int64",  "uint64",
                                                   "half", "float", "double", "bfloat16", "f8e4m3", "f8e5m2"};
constexpr const char* kOpNames[tuttiNumOps] = {"sum", "prod", "max", "min", "avg"};

// One name of `names`, or "all".
template <typename Value, size_t kNames>
std::vector<Value> chosen(const std::string& text, const char* const (&names)[kNames], const char* flag) {
  std::vector<Value> values;
  std::string known;
  for (size_t i = 0; i < kNames; ++i) {
    if (text == "all" || text == names[i]) values.push_back(static_cast<Value>(i));
    known += std::string(names[i]) + ", ";
  }
  if (values.empty()) throw CLI::ValidationError(flag, "'" + text + "' is none of " + known + "all");
  return values;
}

// nccl-tests' flags about devices: taken, so that a script runs unchanged, and said to do nothing.
struct DeviceFlag {
  const char *flags, *about;
};
constexpr DeviceFlag kDeviceFlags[] = {
    {"-G,--cudagraph", "CUDA graphs"},
    {"-C,--report_cputime", "time of a launch apart from its end"},
    {"-S,--report_timestamps", "timestamps in lines"},
    {"-D,--device_implementation", "device-side kernels"},
    {"-V,--device_cta_count", "thread blocks"},
    {"-x,--cta_policy", "thread blocks"},
};

void check_ranges(const Options& o) {
  if (o.min_bytes > o.max_bytes) throw CLI::ValidationError("-b", "the smallest size is above the largest (-e)");
  if (o.step_bytes == 0 && o.step_factor < 2 && o.min_bytes != o.max_bytes)
    throw CLI::ValidationError("-f", "a factor below 2 does not grow; give -i BYTES for steps");
  if (!o.as.empty() && (o.ranks_per_thread > 1 || o.aggregate > 1 || !o.stream_null))
    throw CLI::ValidationError("--as", "its calls use each other's results: not in groups or on a stream (-g, -m, -y 0)");
}

}  // namespace

const char* name_of(tuttiDataType_t type) {
  return kTypeNames[type];
}
const char* name_of(tuttiRedOp_t op) {
  return kOpNames[op];
}

size_t next_size(const Options& options, size_t bytes) {
  if (options.step_bytes) return bytes + options.step_bytes;
  if (options.step_factor < 2) return 0;
  size_t next = 1;
  return bytes && __builtin_mul_overflow(bytes, options.step_factor, &next) ? 0 : next;
}

Parsed parse_options(const Collective& collective, int argc, char** argv) {
  Options o;
  CLI::App app{std::string("Times ") + collective.name +
               " over host memory and checks every element of the result.\n"
               "Under mpirun, srun, torchrun or tutti-run the launcher's processes are the ranks; else -p forks them."};
  app.option_defaults()->always_capture_default();
  app.set_help_flag("-h,--help", "print this and exit");
  std::string type = "float", op = "sum", root = "0";
  int average = 1;
  int blocking = 1, stream_null = 1;
  app.add_option("-p,--processes", o.processes, "processes to fork on this host (default: 2)")->check(CLI::Range(1, kMostRanks));
  app.add_option("-t,--nthreads", o.threads, "threads per process")->check(CLI::Range(1, 1024));
  app.add_option("-g,--ngpus", o.ranks_per_thread, "ranks per thread, driven through groups")->check(CLI::Range(1, 1024));
  take_sizes(app.add_option("-b,--minbytes", o.min_bytes, "smallest message; K, M, G are powers of 1024"));
  take_sizes(app.add_option("-e,--maxbytes", o.max_bytes, "largest message"));
  auto* const step = app.add_option("-i,--stepbytes", o.step_bytes, "bytes from size to size");
  take_sizes(step, 1);
  app.add_option("-f,--stepfactor", o.step_factor, "factor from size to size")->excludes(step);
  app.add_option("-n,--iters", o.iterations, "timed samples per size: calls, or batches of 20 below 32 KiB")
      ->check(CLI::Range(1, 1000000));
  app.add_option("-w,--warmup_iters", o.warmup, "untimed calls first")->check(CLI::Range(0, 1000000));
  app.add_option("-m,--agg_iters", o.aggregate, "calls per group")->check(CLI::Range(1, 256));
  app.add_option("-c,--check", o.checks, "checked calls per size; 0: none")->check(CLI::Range(0, 1000000));
  app.add_option("-o,--op", op, "sum, prod, max, min, avg or all");
  app.add_option("-d,--datatype", type, "int8 ... f8e5m2 (nccl-tests' names) or all");
  app.add_option("-r,--root", root, "rank or all");
  app.add_option("-a,--average", average, "the time shown: 0 rank 0's, 1 mean, 2 min, 3 max of the ranks")
      ->check(CLI::Range(0, 3));
  app.add_option("-y,--stream_null", stream_null, "1: synchronous calls, 0: calls on a stream")->check(CLI::Range(0, 1));
  app.add_option("-z,--blocking", blocking, "on a stream: 1: wait for each call, 0: for the last of a sample")
      ->check(CLI::Range(0, 1));
  app.add_option("-T,--timeout", o.timeout_s, "seconds until a call that does not finish is an error")
      ->check([](const std::string& text) {
        const double seconds = std::strtod(text.c_str(), nullptr);
        return seconds > 0 && seconds <= kMostSeconds ? "" : "'" + text + "' must be above 0 and at most 1e9";
      })
      ->check(CLI::Number);
  app.add_option("-R,--local_register", o.registration, "1, 2: memory from tuttiMemAlloc, registered")
      ->check(CLI::Range(0, 2));
  if (const std::vector<std::string> names = mockups_of(collective); !names.empty())
    app.add_option("--as", o.as, "measure other calls that give the same")->check(CLI::IsMember(names));
  app.add_option("-J,--output_file,--json", o.json_path, "write the results as JSON; -: on stdout, instead of the table");
  app.add_flag("--percentiles", o.percentiles, "add columns p50 and p99");
  app.add_flag_function(
      "--bind,!--no-bind", [&o](int64_t times) { o.bind = times > 0 ? Bind::Always : Bind::Never; },
      "pin rank i to core i, or not (default: unless the launcher has)");

  int ignored = 0;
  std::vector<CLI::Option*> device_options;
  for (const DeviceFlag& row : kDeviceFlags) device_options.push_back(app.add_option(row.flags, ignored)->group(""));

  const auto check = [&] {
    o.types = chosen<tuttiDataType_t>(type, kTypeNames, "-d");
    o.ops = chosen<tuttiRedOp_t>(op, kOpNames, "-o");
    if (!collective.reduces) o.ops = {tuttiSum};
    if (!collective.has_data) {
      o.types = {tuttiInt8};
      o.min_bytes = o.max_bytes = 0;
    }
    if (root == "all" || root == "-1")
      o.root = kAllRoots;
    else if (!CLI::detail::lexical_cast(root, o.root) || o.root < 0)
      throw CLI::ValidationError("-r", "'" + root + "' is neither a rank nor 'all'");
    check_ranges(o);
  };
  if (const std::optional<int> end = parse_arguments(app, std::string(collective.name) + "_perf", argc, argv, check))
    return {std::nullopt, *end};
  for (size_t i = 0; i < device_options.size(); ++i)
    if (device_options[i]->count())
      std::cerr << collective.name << "_perf: " << kDeviceFlags[i].flags << " (" << kDeviceFlags[i].about
                << ") has no meaning on host memory: ignored\n";
  o.average = static_cast<Average>(average);
  o.blocking = blocking != 0;
  o.stream_null = stream_null != 0;
  return {o, 0};
}

}  // namespace tutti::perf
