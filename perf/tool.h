// tool: how all programs begin and end: reading arguments, help, version, and what a failure looks like.
//
// Exit codes: what the program's body returns; 1 when it ends by a failure, or standard output cannot be written; 2 for arguments that
// make no sense, and then nothing has happened.
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

namespace tutti::perf {

// "floor (Tutti) 1.0.0"
std::string version_of(const std::string& program);

// Adds --version, reads the command line, then calls check(), which may throw CLI::ValidationError. The exit code, if that is all there
// is to do: after --help and --version, or when the arguments are wrong, which it says.
std::optional<int> parse_arguments(CLI::App& app, const std::string& program, int argc, char** argv,
                                   const std::function<void()>& check = {});

// Lets an option's values be sizes: "64K", "1.5M", "100". K, M, G and T are powers of 1024.
void take_sizes(CLI::Option* option, size_t least = 0);

// What is said of an exception: a Failure's own words, never C++'s for lack of memory.
std::string sentence_of(const std::exception& error);

// The exit code of body(). What leaves it as an exception is said.
int guarded(const std::string& program, const std::function<int()>& body);

// Both: parse_arguments(), then body(), which may throw CLI::ValidationError, too.
int run_tool(const std::string& program, CLI::App& app, int argc, char** argv, const std::function<int()>& body);

}  // namespace tutti::perf
