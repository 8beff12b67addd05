// main: the entry point of every Catch2 executable.
//
// gcc 12 with -fsanitize sees an uninitialized std::function inside <regex>, which Catch2's runner includes; it is none.
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
