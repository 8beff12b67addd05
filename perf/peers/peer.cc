// peer: see peer.h. The calls of tutti.h that are the same over every peer.
#include "perf/peers/peer.h"

#include <cstdlib>

namespace tutti::perf {
namespace {

std::string g_last_error;

}  // namespace

tuttiResult_t peer_error(tuttiResult_t result, const std::string& sentence) {
  g_last_error = sentence;
  return result;
}

tuttiResult_t unsupported(const std::string& what) {
  return peer_error(tuttiInvalidUsage, "unsupported: " + what);
}

}  // namespace tutti::perf

extern "C" {

tuttiResult_t tuttiGetVersion(int* version) {
  *version = TUTTI_VERSION_CODE;
  return tuttiSuccess;
}
const char* tuttiGetErrorString(tuttiResult_t result) {
  return result == tuttiSuccess ? "no error" : "the peer library failed";
}
const char* tuttiGetLastError(tuttiComm_t) {
  return tutti::perf::g_last_error.c_str();
}

tuttiResult_t tuttiCommInitAll(tuttiComm_t*, int, const int*) {
  return tutti::perf::unsupported("one rank per process: no -g");
}

tuttiResult_t tuttiStreamCreate(tuttiStream_t*) {
  return tutti::perf::unsupported("no streams: use -y 1");
}
tuttiResult_t tuttiStreamSynchronize(tuttiStream_t) {
  return tuttiSuccess;
}
tuttiResult_t tuttiStreamDestroy(tuttiStream_t) {
  return tuttiSuccess;
}

tuttiResult_t tuttiMemAlloc(void** memory, size_t size) {
  *memory = std::calloc(1, size);
  return *memory ? tuttiSuccess : tutti::perf::peer_error(tuttiSystemError, "out of memory");
}
tuttiResult_t tuttiMemFree(void* memory) {
  std::free(memory);
  return tuttiSuccess;
}
tuttiResult_t tuttiCommRegister(tuttiComm_t, void*, size_t, void** handle) {
  *handle = nullptr;
  return tuttiSuccess;
}
tuttiResult_t tuttiCommDeregister(tuttiComm_t, void*) {
  return tuttiSuccess;
}

}  // extern "C"
