// tutti-trace: puts the traces of all ranks on one timeline, and says what they show.
//
//   TUTTI_TRACE=trace tutti-run -n 4 ./app
//   tutti-trace trace                        # a report, and trace/merged.json for ui.perfetto.dev or chrome://tracing
//   tutti-trace trace --html run.html        # a page for a browser as well
// Exit codes: 0; 1: there is no trace, or the result cannot be written; 2: wrong arguments.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "tools/failure.h"
#include "tools/output.h"
#include "tools/page/page.h"
#include "tools/tool.h"
#include "tools/trace/findings.h"
#include "tools/trace/merge.h"
#include "tools/trace/picture.h"

namespace tutti::trace {
namespace {

// What went wrong with a file, if anything did. The last line of a killed rank's file may be cut off.
void tell(const Source& source, const Reading& reading) {
  if (reading.damaged > 1 || (reading.damaged == 1 && reading.whole))
    std::fprintf(stderr, "tutti-trace: %s: %llu damaged lines were left out\n", source.path.c_str(), static_cast<unsigned long long>(reading.damaged));
  if (!reading.whole) std::fprintf(stderr, "tutti-trace: %s has no end: its rank was killed, did not destroy its communicator, or is still running\n", source.path.c_str());
}

void write_page(const std::string& folder, const std::string& path, Picture& picture) {
  show::Timeline timeline = picture.timeline();
  timeline.facts.insert(timeline.facts.begin(), {"folder", folder});
  const std::string trouble = tool::write_file(path, show::page_of(timeline));
  if (!trouble.empty()) throw tool::Failure("--html: " + trouble);
  std::printf("%s: open it in a browser\n", path.c_str());
}

int work(const std::string& folder, std::string output, const std::string& html) {
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
  if (zero_ns == std::numeric_limits<int64_t>::max()) zero_ns = 0;
  if (output.empty()) output = folder + "/merged.json";
  for (const std::string& path : {output, html})
    for (const Source& source : run.sources) {
      std::error_code none;
      if (std::filesystem::equivalent(path, source.path, none)) throw tool::Failure(path + " is the file of a rank");
    }
  Merge merge(run, output, zero_ns);
  Picture picture(run, zero_ns, show::kMostOnPage);
  for (size_t i = 0; i < run.sources.size(); ++i)
    (void)read_events(run.sources[i].path, [&](Json& event) {
      if (!html.empty()) picture.add(i, event);
      merge.add(i, event);
    });
  merge.finish();
  std::printf("%s%s: open it at https://ui.perfetto.dev or in chrome://tracing\n", findings.text().c_str(), output.c_str());
  if (!html.empty()) write_page(folder, html, picture);
  return 0;
}

}  // namespace
}  // namespace tutti::trace

int main(int argc, char** argv) {
  const char* const program = "tutti-trace";
  std::string folder, output, html;
  CLI::App app{"Merges the traces that ranks have written (TUTTI_TRACE), names stragglers and what they cost, and says who was where when a communicator failed"};
  app.add_option("folder", folder, "folder with the ranks' files")->required()->type_name("DIR");
  app.add_option("-o,--output", output, "the merged trace, in Chrome's format; without it: DIR/merged.json")->type_name("FILE");
  tutti::tool::take_file(app.add_option("--html", html, "write the run as a page for a browser to this file"));
  return tutti::tool::run_tool(program, app, argc, argv, [&] { return tutti::trace::work(folder, output, html); });
}
