// words: see words.h.
#include "tools/words.h"

#include <algorithm>
#include <cctype>
#include <CLI/CLI.hpp>
#include <cstdio>

namespace tutti {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

std::optional<int> parse_arguments(CLI::App& app, const char* tool, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "%s: %s\n", tool, error.what());
    return 2;
  }
  return std::nullopt;
}

Result<Collective> parse_collective(const std::string& name) {
  std::string known;
  for (int i = 0; i < kCollectives; ++i) {
    const std::string candidate = lower(name_of(static_cast<Collective>(i)));
    if (lower(name) == candidate) return static_cast<Collective>(i);
    known += (i == 0 ? "" : ", ") + candidate;
  }
  return fail(Code::InvalidArgument, "unknown collective '", name, "' (known: ", known, ")");
}

}  // namespace tutti
