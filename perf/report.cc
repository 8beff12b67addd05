// report: see report.h.
#include "perf/report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/output.h"

namespace tutti::perf {

using namespace tool;

namespace {

constexpr const char* kAverageNames[] = {"rank 0", "mean", "min", "max"};

double algorithm_GBps(const Row& row, const Measured& half) {
  return half.time.mean_us > 0 ? static_cast<double>(row.bytes) / half.time.mean_us / 1000 : 0;
}

// Seven columns, with as many digits as mean something.
std::string time_text(double us) {
  char text[32];
  std::snprintf(text, sizeof text, us < 1 ? "%7.3f" : us < 100 ? "%7.2f" : us < 10000 ? "%7.1f" : "%7.0f", us);
  return text;
}

void print_half(const Row& row, const std::optional<Measured>& half) {
  if (!half) {
    std::printf("  %7s  %6s  %6s  %6s", "N/A", "N/A", "N/A", "N/A");
    return;
  }
  const double algorithm = algorithm_GBps(row, *half);
  const std::string wrong = row.checked ? std::to_string(half->wrong) : "N/A";
  std::printf("  %s  %6.2f  %6.2f  %6s", time_text(half->time.mean_us).c_str(), algorithm, algorithm * row.bus_factor,
              wrong.c_str());
}

void print_percentiles(const std::optional<Measured>& half) {
  if (half)
    std::printf("  %s  %s", time_text(half->time.p50_us).c_str(), time_text(half->time.p99_us).c_str());
  else
    std::printf("  %7s  %7s", "N/A", "N/A");
}

nlohmann::json json_of(const Row& row, const std::optional<Measured>& half) {
  if (!half) return nullptr;
  const double algorithm = algorithm_GBps(row, *half);
  nlohmann::json json{{"time_us", half->time.mean_us},
                      {"p50_us", half->time.p50_us},
                      {"p99_us", half->time.p99_us},
                      {"algbw_GBps", algorithm},
                      {"busbw_GBps", algorithm * row.bus_factor},
                      {"wrong", nullptr}};
  if (row.checked) json["wrong"] = half->wrong;
  return json;
}

}  // namespace

void print_header(const std::string& about, const std::vector<std::string>& ranks, bool percentiles) {
  std::printf("# %s\n#\n# Ranks\n", about.c_str());
  for (size_t r = 0; r < ranks.size(); ++r) std::printf("#  Rank %2zu %s\n", r, ranks[r].c_str());
  std::printf("#\n");
  const char* const half_names = "  %7s  %6s  %6s  %6s";
  std::printf("#%62s%s%23s%s%10s\n", "", "out-of-place", "", "in-place", "");
  std::printf("#%11s  %12s  %8s  %6s  %6s", "size", "count", "type", "redop", "root");
  for (int half = 0; half < 2; ++half) std::printf(half_names, "time", "algbw", "busbw", "#wrong");
  if (percentiles) std::printf("  %7s  %7s  %7s  %7s", "p50", "p99", "p50 in", "p99 in");
  std::printf(" \n#%11s  %12s  %8s  %6s  %6s", "(B)", "(elements)", "", "", "");
  for (int half = 0; half < 2; ++half) std::printf(half_names, "(us)", "(GB/s)", "(GB/s)", "");
  if (percentiles) std::printf("  %7s  %7s  %7s  %7s", "(us)", "(us)", "(us)", "(us)");
  std::printf(" \n");
  std::fflush(stdout);
}

void print_row(const Row& row, bool percentiles) {
  std::printf("%12zu  %12zu  %8s  %6s  %6d", row.bytes, row.count, row.type.c_str(), row.op.c_str(), row.root);
  print_half(row, row.out_of_place);
  print_half(row, row.in_place);
  if (percentiles) {
    print_percentiles(row.out_of_place);
    print_percentiles(row.in_place);
  }
  std::printf("\n");
  std::fflush(stdout);
}

void print_totals(uint64_t wrong, double average_bus_GBps) {
  std::printf("# Out of bounds values : %llu %s\n# Avg bus bandwidth    : %g \n#\n", static_cast<unsigned long long>(wrong),
              wrong ? "FAILED" : "OK", average_bus_GBps);
  std::fflush(stdout);
}

Report::Report(const Options& options, const Collective& collective, int ranks)
    : options_(options), collective_(collective), ranks_(ranks) {}

void Report::open(const std::vector<std::string>& ranks) {
  places_ = ranks;
  if (!table()) return;
  const Options& o = options_;
  char about[256];
  std::snprintf(about, sizeof about,
                "nThread %d nRank %d minBytes %zu maxBytes %zu step: %zu(%s) warmup iters: %d iters: %d agg iters: %d "
                "validation: %d graph: 0",
                o.threads, o.ranks_per_thread, o.min_bytes, o.max_bytes, o.step_bytes ? o.step_bytes : o.step_factor,
                o.step_bytes ? "bytes" : "factor", o.warmup, o.iterations, o.aggregate, o.checks);
  print_header(about, ranks, o.percentiles);
}

void Report::skipped(size_t bytes) {
  if (table()) std::printf("# %zu B: less than one element of a block, skipped\n", bytes);
}

void Report::add(Row row) {
  wrong_ += row.out_of_place.wrong + (row.in_place ? row.in_place->wrong : 0);
  if (table()) print_row(row, options_.percentiles);
  rows_.push_back(std::move(row));
}

double Report::average_bus_GBps() const {
  double sum = 0;
  size_t halves = 0;
  for (const Row& row : rows_)
    for (const std::optional<Measured>& half : {std::optional(row.out_of_place), row.in_place})
      if (half) {
        sum += algorithm_GBps(row, *half) * row.bus_factor;
        ++halves;
      }
  return halves ? sum / static_cast<double>(halves) : 0;
}

bool Report::close() {
  if (table()) print_totals(wrong_, average_bus_GBps());
  return options_.json_path.empty() || write_json();
}

bool Report::write_json() const {
  const Options& o = options_;
  int version = 0;
  (void)tuttiGetVersion(&version);
  nlohmann::json json;
  json["version"] =
      std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
  json["collective"] = collective_.name;
  json["config"] = {{"ranks", ranks_},
                    {"threads", o.threads},
                    {"ranks_per_thread", o.ranks_per_thread},
                    {"min_bytes", o.min_bytes},
                    {"max_bytes", o.max_bytes},
                    {"step_bytes", o.step_bytes},
                    {"step_factor", o.step_bytes ? 0 : o.step_factor},
                    {"iterations", o.iterations},
                    {"warmup", o.warmup},
                    {"aggregate", o.aggregate},
                    {"checks", o.checks},
                    {"average", kAverageNames[static_cast<int>(o.average)]},
                    {"stream_null", o.stream_null},
                    {"blocking", o.blocking},
                    {"registration", o.registration},
                    {"bind", o.bind != Bind::Never},
                    {"as", o.as}};
  json["ranks"] = places_;
  json["results"] = nlohmann::json::array();
  for (const Row& row : rows_)
    json["results"].push_back({{"size", row.bytes},
                               {"count", row.count},
                               {"type", row.type},
                               {"op", row.op},
                               {"root", row.root},
                               {"out_of_place", json_of(row, row.out_of_place)},
                               {"in_place", json_of(row, row.in_place)}});
  json["totals"] = {{"wrong", wrong_}, {"average_busbw_GBps", average_bus_GBps()}};
  // A host's name may be any bytes: they must not throw.
  const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  if (!table()) {
    std::printf("%s\n", text.c_str());
    return true;
  }
  const std::string trouble = write_file(o.json_path, text + '\n');
  if (!trouble.empty()) std::fprintf(stderr, "%s_perf: %s\n", collective_.name, trouble.c_str());
  return trouble.empty();
}

}  // namespace tutti::perf
