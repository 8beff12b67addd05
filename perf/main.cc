// main: one benchmark program per collective; the build names it by PERF_COLLECTIVE.
//
// Options, then processes (launch), then threads, each with a driver that goes through the same list of cases; rank 0's
// reports. Exit code: 0: all is well; 1: wrong results, a failed call, or a report that could not be written; 2: a wrong command line, or
// a file on it that cannot be written.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "perf/driver.h"
#include "perf/measure.h"
#include "perf/mockups.h"
#include "perf/options.h"
#include "perf/report.h"
#include "tools/launch/launch.h"
#include "tools/launch/pinning.h"
#include "tools/output.h"
#include "tools/tool.h"

namespace tutti::perf {

using namespace tool;

namespace {

// Where a rank of this thread runs, for the header.
std::string place_of(const Job& job) {
  char host[32] = "?";
  gethostname(host, sizeof host - 1);
  return "Pid " + std::to_string(getpid()) + " on " + host + " core " + std::to_string(current_processor()) +
         (job.cores.empty() ? " (not pinned here)" : "");
}

void run_size(Driver& driver, const Options& options, const Collective& collective, tuttiDataType_t type, tuttiRedOp_t op,
              int root, size_t bytes, Report* report) {
  const size_t unit = size_of(type) * (collective.per_block ? static_cast<size_t>(driver.ranks()) : 1);
  const size_t count = bytes / unit;
  if (count == 0 && bytes > 0) {
    if (report) report->skipped(bytes);
    return;
  }
  Row row{count * unit,
          count,
          collective.has_data ? name_of(type) : "none",
          collective.reduces ? name_of(op) : "none",
          collective.rooted ? root : -1,
          collective.bus_factor(driver.ranks()),
          options.checks > 0,
          {},
          {}};
  row.out_of_place = measure(driver, options, {type, op, root, count, false}, count * unit);
  if (collective.in_place) row.in_place = measure(driver, options, {type, op, root, count, true}, count * unit);
  if (report) report->add(std::move(row));
}

// What one thread does. Returns the number of wrong elements of all ranks, or -1: the report could not be written.
int64_t run_thread(const Options& options, const Collective& collective, const Job& job, int thread) {
  const auto number = static_cast<size_t>(job.local * options.threads + thread);
  if (!job.cores.empty()) (void)pin_to(job.cores[number % job.cores.size()]);
  Driver driver(options, collective, job, thread);
  Report report(options, collective, driver.ranks());
  const std::vector<std::string> places =
      driver.gather_texts(std::vector<std::string>(static_cast<size_t>(options.ranks_per_thread), place_of(job)));
  const bool reports = driver.first_rank() == 0;
  if (reports) report.open(places);

  const bool every_root = collective.rooted && options.root == kAllRoots;
  const int first_root = every_root ? 0 : std::max(options.root, 0),
            last_root = every_root ? driver.ranks() - 1 : first_root;
  for (const tuttiDataType_t type : options.types)
    for (const tuttiRedOp_t op : options.ops)
      for (int root = first_root; root <= last_root; ++root) {
        size_t bytes = options.min_bytes;
        do {
          run_size(driver, options, collective, type, op, root, bytes, reports ? &report : nullptr);
          bytes = next_size(options, bytes);
        } while (bytes != 0 && bytes <= options.max_bytes);
      }

  const bool written = !reports || report.close();
  // The others' exit must wait for the report: a failing exit ends the job.
  std::vector<double> verdict{static_cast<double>(report.wrong()), written ? 0.0 : 1.0};
  driver.combine(verdict, tuttiMax);
  return verdict[1] > 0 ? -1 : static_cast<int64_t>(verdict[0]);
}

// Why this job cannot run with these options, or "".
std::string refuse(const Options& options, const Collective& collective, const Job& job) {
  const int64_t ranks = int64_t{job.processes} * options.threads * options.ranks_per_thread;
  if (ranks > kMostRanks)
    return std::to_string(ranks) + " ranks (processes, times -t, times -g): at most " + std::to_string(kMostRanks) +
           " can be in one communicator";
  if (collective.rooted && options.root >= ranks)
    return "-r " + std::to_string(options.root) + ": there are only " + std::to_string(ranks) + " ranks";
  const bool writes = job.process == 0 && !options.json_path.empty() && options.json_path != "-";
  const std::string trouble = writes ? cannot_write(options.json_path) : "";
  return trouble.empty() ? "" : "-J: " + trouble;
}

int run_process(const Options& options, const Collective& collective, const Job& job) {
  const auto guarded = [&](int thread) {
    try {
      return run_thread(options, collective, job, thread) == 0;
    } catch (const std::exception& error) {
      std::fflush(stdout);
      std::fprintf(stderr, "%s_perf: %s\n", collective.name, sentence_of(error).c_str());
      // Other threads may wait for this one's ranks in the library.
      _exit(1);
    }
  };
  if (options.threads == 1) return guarded(0) ? 0 : 1;
  std::vector<std::thread> threads;
  std::vector<char> good(static_cast<size_t>(options.threads));
  for (int t = 0; t < options.threads; ++t) threads.emplace_back([&, t] { good[static_cast<size_t>(t)] = guarded(t); });
  for (std::thread& thread : threads) thread.join();
  return std::all_of(good.begin(), good.end(), [](char g) { return g != 0; }) ? 0 : 1;
}

}  // namespace
}  // namespace tutti::perf

int main(int argc, char** argv) {
  using namespace tutti::perf;
  const Collective& collective = *find_collective(PERF_COLLECTIVE);
  const Parsed parsed = parse_options(collective, argc, argv);
  if (!parsed.options) return parsed.exit_code;
  const Options& options = *parsed.options;
  const Collective measured = options.as.empty() ? collective : mockup(collective, options.as);
  // The library's own deadline: a call that does not finish becomes an error that names the ranks that lag.
  if (!options.timeout_s.empty()) setenv("TUTTI_TIMEOUT", options.timeout_s.c_str(), 1);
  const Launch how{options.processes, options.bind, [&](const Job& job) { return refuse(options, measured, job); }};
  const char* const program = PERF_COLLECTIVE "_perf";
  return guarded(program, [&] { return launch(program, how, [&](const Job& job) { return run_process(options, measured, job); }); });
}
