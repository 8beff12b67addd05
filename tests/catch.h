// catch: Catch2 for all tests, which include it by this header only, and what a test program's main ends in.
//
// Catch2 2 is one header, Catch2 3 a library with many; Meson says which it found (CATCH2_MAJOR). The tests use the names of
// Catch2 2.
#pragma once
#if CATCH2_MAJOR < 3
#include <catch2/catch.hpp>
#else
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace Catch {
inline auto Contains(const std::string& text) { return Matchers::ContainsSubstring(text); }
}  // namespace Catch
using Catch::Approx;
#endif

namespace tutti::test {

// Runs the tests that the arguments select. The program's exit code.
int run_catch(int argc, char** argv);

}  // namespace tutti::test
