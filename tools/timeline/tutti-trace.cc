// tutti-trace: puts the traces of all ranks on one timeline, and says what they show.
//
//   TUTTI_TRACE=trace tutti-run -n 4 ./app
//   tutti-trace trace                        # a report, and trace/merged.json for ui.perfetto.dev or chrome://tracing
// Exit codes: 0; 1: there is no trace, or the result cannot be written; 2: wrong arguments.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "tools/failure.h"
#include "tools/timeline/findings.h"
#include "tools/timeline/merge.h"
#include "tools/tool.h"

namespace {

using namespace tutti::timeline;

// What went wrong with a file, if anything did. The last line of a killed rank's file may be cut off.
void tell(const Source& source, const Reading& reading) {
  if (reading.damaged > 1 || (reading.damaged == 1 && reading.whole))
    std::fprintf(stderr, "tutti-trace: %s: %llu damaged lines were left out\n", source.path.c_str(), static_cast<unsigned long long>(reading.damaged));
  if (!reading.whole) std::fprintf(stderr, "tutti-trace: %s has no end: its rank was killed, did not destroy its communicator, or is still running\n", source.path.c_str());
}

int work(const std::string& folder, std::string output) {
  Folder found = read_folder(folder);
  for (const std::string& complaint : found.complaints) std::fprintf(stderr, "tutti-trace: %s, and is left out\n", complaint.c_str());
  const Run run = run_of(std::move(found.sources));
  Findings findings(run);
  int64_t zero_ns = std::numeric_limits<int64_t>::max();
  for (size_t i = 0; i < run.sources.size(); ++i)
    tell(run.sources[i], read_events(run.sources[i].path, [&](Json& event) {
           findings.add(i, event);
           if (event.contains("ts")) zero_ns = std::min(zero_ns, time_in(event, "ts") + run.rows[i].shift_ns);
         }));
  if (output.empty()) output = folder + "/merged.json";
  for (const Source& source : run.sources) {
    std::error_code none;
    if (std::filesystem::equivalent(output, source.path, none)) throw tutti::tool::Failure(output + " is the file of a rank");
  }
  Merge merge(run, output, zero_ns == std::numeric_limits<int64_t>::max() ? 0 : zero_ns);
  for (size_t i = 0; i < run.sources.size(); ++i) (void)read_events(run.sources[i].path, [&](Json& event) { merge.add(i, event); });
  merge.finish();
  std::printf("%s%s: open it at https://ui.perfetto.dev or in chrome://tracing\n", findings.text().c_str(), output.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const char* const program = "tutti-trace";
  std::string folder, output;
  CLI::App app{"Merges the traces that ranks have written (TUTTI_TRACE), names stragglers and what they cost, and says who was where when a communicator failed"};
  app.add_option("folder", folder, "folder with the ranks' files")->required()->type_name("DIR");
  app.add_option("-o,--output", output, "the merged trace, in Chrome's format; without it: DIR/merged.json")->type_name("FILE");
  return tutti::tool::run_tool(program, app, argc, argv, [&] { return work(folder, output); });
}
