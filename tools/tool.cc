// tool: see tool.h.
#include "tools/tool.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <new>
#include <string_view>

#include "tools/failure.h"

#define TUTTI_TEXT_(x) #x
#define TUTTI_TEXT(x) TUTTI_TEXT_(x)

namespace tutti::tool {
namespace {

constexpr double kMostBytes = 1125899906842624.0;  // 2^50

int said(const std::string& program, const std::string& sentence, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s: %s\n", program.c_str(), sentence.c_str());
  return code;
}

// The number of bytes that a text such as "64K" says. Nothing if it is not a size, or is larger than any memory.
std::optional<double> bytes_of(const std::string& text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc() || !(number >= 0)) return {};
  std::string unit(read, end);
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const char* const rest : {"IB", "B"})
    if (unit.size() >= std::strlen(rest) && unit.compare(unit.size() - std::strlen(rest), std::string::npos, rest) == 0) {
      unit.resize(unit.size() - std::strlen(rest));
      break;
    }
  constexpr std::string_view kUnits = "KMGT";
  if (unit.size() > 1 || kUnits.find(unit) == std::string_view::npos) return {};
  const double bytes = std::floor(number * std::pow(1024.0, unit.empty() ? 0.0 : static_cast<double>(kUnits.find(unit) + 1)));
  if (bytes > kMostBytes) return {};
  return bytes;
}

}  // namespace

std::string version_of(const std::string& program) {
  return program + " (Tutti) " TUTTI_TEXT(TUTTI_MAJOR) "." TUTTI_TEXT(TUTTI_MINOR) "." TUTTI_TEXT(TUTTI_PATCH);
}

std::optional<int> parse_arguments(CLI::App& app, const std::string& program, int argc, char** argv,
                                   const std::function<void()>& check) {
  app.set_version_flag("--version", version_of(program), "print the version and exit");
  try {
    app.parse(argc, argv);
    if (check) check();
  } catch (const CLI::Success& wish) {
    return guarded(program, [&] { return app.exit(wish); });
  } catch (const CLI::Error& error) {
    return said(program, std::string(error.what()) + "; see --help", 2);
  }
  return std::nullopt;
}

void take_sizes(CLI::Option* option, size_t least) {
  const auto to_bytes = [least](std::string& text) -> std::string {
    const std::optional<double> bytes = bytes_of(text);
    if (!bytes) return "'" + text + "' is not a size: write bytes, or a number with K, M, G or T";
    if (*bytes < static_cast<double>(least)) return "'" + text + "' is less than " + std::to_string(least) + " bytes";
    text = std::to_string(static_cast<size_t>(*bytes));
    return "";
  };
  option->transform(CLI::Validator(to_bytes, "", "a size"))->type_name("BYTES");
}

void take_file(CLI::Option* option) {
  const auto named = [](const std::string& name) { return std::string(name.empty() ? "the name of a file is missing" : ""); };
  option->check(CLI::Validator(named, "", "a file"))->type_name("FILE");
}

std::string sentence_of(const std::exception& error) {
  if (dynamic_cast<const Failure*>(&error)) return error.what();
  if (dynamic_cast<const std::bad_alloc*>(&error)) return "out of memory";
  return std::string("a bug, please report it: ") + error.what();
}

int guarded(const std::string& program, const std::function<int()>& body) {
  try {
    const int code = body();
    std::cout.flush();
    if (std::fflush(stdout) == 0 && !std::ferror(stdout) && std::cout) return code;
    return said(program, std::string("cannot write to standard output: ") + std::strerror(errno), code == 0 ? 1 : code);
  } catch (const CLI::Error& error) {
    return said(program, std::string(error.what()) + "; see --help", 2);
  } catch (const std::exception& error) {
    return said(program, sentence_of(error), 1);
  }
}

int run_tool(const std::string& program, CLI::App& app, int argc, char** argv, const std::function<int()>& body) {
  if (const std::optional<int> end = parse_arguments(app, program, argc, argv)) return *end;
  return guarded(program, body);
}

}  // namespace tutti::tool
