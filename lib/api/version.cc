// version: the one file the shared library has of its own; everything else comes from the internal library. Lets a person
// ask a binary on disk which version it is: strings libtutti.so.1 | grep 'Tutti '.
#include "include/tutti/tutti.h"
#include "lib/base/version.h"

static_assert(tutti::kVersionCode == TUTTI_VERSION_CODE);

#define TUTTI_TEXT_(x) #x
#define TUTTI_TEXT(x) TUTTI_TEXT_(x)

extern "C" __attribute__((used)) const char tutti_version_text[] =
    "Tutti " TUTTI_TEXT(TUTTI_MAJOR) "." TUTTI_TEXT(TUTTI_MINOR) "." TUTTI_TEXT(TUTTI_PATCH);
