// tool: how the small programs of this folder begin and end: reading arguments, help, and what a failure looks like.
#pragma once
#include <CLI/CLI.hpp>
#include <iostream>

#include "perf/failure.h"

namespace tutti::perf {

// Parses, then returns what body() does. 2: bad arguments (body may throw CLI::ValidationError, too), 1: a Failure.
template <typename Body>
int run_tool(const char* name, CLI::App& app, int argc, char** argv, Body body) {
  try {
    app.parse(argc, argv);
    return body();
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return 0;
  } catch (const CLI::Error& error) {
    std::cerr << name << ": " << error.what() << "; see --help\n";
    return 2;
  } catch (const Failure& failure) {
    std::cerr << name << ": " << failure.what() << '\n';
    return 1;
  }
}

}  // namespace tutti::perf
