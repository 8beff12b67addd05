// stream_api: the C calls about host streams.
#include "lib/api/entry.h"

using namespace tutti;

extern "C" {

tuttiResult_t tuttiStreamCreate(tuttiStream_t* stream) {
  return enter("tuttiStreamCreate", [&]() -> Status {
    if (!stream) return fail(Code::InvalidArgument, "stream is NULL");
    *stream = nullptr;
    Result<std::unique_ptr<Stream>> object = Stream::start();
    if (!object.ok()) return object.status();
    const uintptr_t handle = stream_handles().insert(object.value().get());
    if (handle == 0) return fail(Code::InvalidUsage, "too many streams in this process (4096)");
    (void)object.value().release();
    *stream = reinterpret_cast<tuttiStream_t>(handle);
    return {};
  });
}

tuttiResult_t tuttiStreamSynchronize(tuttiStream_t stream) {
  return enter("tuttiStreamSynchronize", [&]() -> Status {
    const StreamGuard guard(stream);
    if (!guard) return bad_stream();
    return guard->synchronize();
  });
}

tuttiResult_t tuttiStreamQuery(tuttiStream_t stream) {
  return enter("tuttiStreamQuery", [&]() -> Status {
    const StreamGuard guard(stream);
    if (!guard) return bad_stream();
    return guard->query();
  });
}

tuttiResult_t tuttiStreamDestroy(tuttiStream_t stream) {
  return enter("tuttiStreamDestroy", [&]() -> Status {
    const std::unique_ptr<Stream> object(stream_handles().remove(reinterpret_cast<uintptr_t>(stream)));
    return object ? object->synchronize() : bad_stream();
  });
}

}  // extern "C"
