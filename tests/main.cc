// main: the entry point of every Catch2 executable.
//
// gcc 12 with -fsanitize sees an uninitialized std::function inside <regex>, which Catch2's runner includes; it is none.
#if !defined(__clang__)  // which does not know this warning
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
