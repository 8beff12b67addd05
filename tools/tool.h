// tool: the beginning and the end of all programs: arguments, help, version, errors.
//
// Exit codes: the result of the program's body; 1 if the body throws, or standard output cannot be written; 2 for wrong arguments, before
// anything is done.
#pragma once
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <string>

namespace CLI {
class App;
class Option;
}

namespace tutti::tool {

// "floor (Tutti) 1.0.0"
std::string version_of(const std::string& program);

// Adds --version, reads the command line, then calls check(), which may throw CLI::ValidationError. Returns an exit code if the program
// is to end now: after --help or --version, or after wrong arguments, for which it prints an error.
std::optional<int> parse_arguments(CLI::App& app, const std::string& program, int argc, char** argv,
                                   const std::function<void()>& check = {});

// The option takes sizes of at least `least` bytes: "64K", "1.5M", "100". K, M, G and T are powers of 1024.
void take_sizes(CLI::Option* option, size_t least = 0);

// The option takes the name of a file, which must not be empty.
void take_file(CLI::Option* option);

// The text that a user sees for an exception: a Failure's own, "out of memory" for std::bad_alloc.
std::string sentence_of(const std::exception& error);

// The exit code of body(). If body() throws, it prints the error, and the exit code is 2 for a CLI::Error, else 1.
int guarded(const std::string& program, const std::function<int()>& body);

// parse_arguments(), then guarded(body).
int run_tool(const std::string& program, CLI::App& app, int argc, char** argv, const std::function<int()>& body);

}  // namespace tutti::tool
