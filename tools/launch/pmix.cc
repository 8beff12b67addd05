// pmix: see pmix.h. The few types and constants are those of the PMIx 4 standard's C bindings, which libpmix.so.2 keeps.
#include "tools/launch/pmix.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace tutti::tool {
namespace {

constexpr int kSuccess = 0;
constexpr uint8_t kGlobal = 3;                    // scope: every process of the job
constexpr uint16_t kBool = 1, kByteObject = 27;  // types of values
constexpr const char* kKey = "tutti.unique_id";

struct Process {
  char job[256];
  uint32_t rank;
};
struct Value {
  uint16_t type;
  union {
    bool flag;
    struct {
      char* bytes;
      size_t size;
    } object;
    char largest[24];
  } data;
};
struct Info {
  char key[512];
  uint32_t flags;
  Value value;
};

struct Pmix {
  int (*init)(Process*, Info*, size_t);
  int (*put)(uint8_t, const char*, const Value*);
  int (*commit)();
  int (*fence)(const Process*, size_t, const Info*, size_t);
  int (*get)(const Process*, const char*, const Info*, size_t, Value**);
  int (*finalize)(const Info*, size_t);
  const char* (*text)(int);
};

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

std::string load(Pmix& pmix) {
  void* const library = dlopen("libpmix.so.2", RTLD_NOW | RTLD_GLOBAL);  // global: its own plug-ins look for its symbols
  if (!library) return std::string("the launcher offers PMIx, but ") + dlerror();
  const bool complete = find(library, "PMIx_Init", pmix.init) && find(library, "PMIx_Put", pmix.put) &&
                        find(library, "PMIx_Commit", pmix.commit) && find(library, "PMIx_Fence", pmix.fence) &&
                        find(library, "PMIx_Get", pmix.get) && find(library, "PMIx_Finalize", pmix.finalize) &&
                        find(library, "PMIx_Error_string", pmix.text);
  return complete ? "" : "libpmix.so.2 is not a PMIx client library";
}

std::string pass(const Pmix& pmix, const Process& self, int process, tuttiUniqueId& id) {
  const auto failed = [&](const char* what, int code) { return std::string(what) + ": " + pmix.text(code); };
  if (process == 0) {
    Value value{};
    value.type = kByteObject;
    value.data.object = {id.internal, sizeof id.internal};
    int code = pmix.put(kGlobal, kKey, &value);
    if (code == kSuccess) code = pmix.commit();
    if (code != kSuccess) return failed("PMIx_Put", code);
  }
  // All meet, and what was put is taken to every host.
  Info collect{};
  std::strcpy(collect.key, "pmix.collect");
  collect.value.type = kBool;
  collect.value.data.flag = true;
  if (const int code = pmix.fence(nullptr, 0, &collect, 1); code != kSuccess) return failed("PMIx_Fence", code);
  if (process == 0) return "";
  Process first = self;
  first.rank = 0;
  Value* value = nullptr;  // from malloc(), and ours then
  if (const int code = pmix.get(&first, kKey, nullptr, 0, &value); code != kSuccess) return failed("PMIx_Get", code);
  const bool whole = value->type == kByteObject && value->data.object.size == sizeof id.internal;
  if (whole) std::memcpy(id.internal, value->data.object.bytes, sizeof id.internal);
  if (value->type == kByteObject) std::free(value->data.object.bytes);
  std::free(value);
  return whole ? "" : "PMIx gave something else than an id";
}

}  // namespace

bool pmix_offered() { return std::getenv("PMIX_NAMESPACE") && std::getenv("PMIX_RANK"); }

std::string pass_id_by_pmix(int process, tuttiUniqueId& id) {
  Pmix pmix{};
  if (std::string trouble = load(pmix); !trouble.empty()) return trouble;
  Process self{};
  if (const int code = pmix.init(&self, nullptr, 0); code != kSuccess) return std::string("PMIx_Init: ") + pmix.text(code);
  std::string trouble = pass(pmix, self, process, id);
  pmix.finalize(nullptr, 0);
  return trouble;
}

}  // namespace tutti::tool
