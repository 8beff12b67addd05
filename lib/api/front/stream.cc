// stream: the front's calls about host streams.
#include "lib/api/front/entry.h"
#include "lib/comm/host_stream.h"

namespace tutti::front {

Code stream_create(HandleOut stream, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    if (!stream) return null_argument(caller.door->names.stream);
    write_handle(stream, 0);
    Result<std::unique_ptr<Stream>> object = HostStream::start();
    if (!object.ok()) return object.status();
    const uintptr_t handle = stream_table().insert(object.value().get());
    if (handle == 0) return fail(Code::InvalidUsage, "too many streams in this process (", kMostStreams, ")");
    (void)object.value().release();
    write_handle(stream, handle);
    return {};
  });
}

Code stream_synchronize(StreamHandle stream, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    const StreamGuard guard(stream);
    return guard ? guard->synchronize() : bad_stream(caller);
  });
}

Code stream_query(StreamHandle stream, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    const StreamGuard guard(stream);
    return guard ? guard->query() : bad_stream(caller);
  });
}

Code stream_destroy(StreamHandle stream, const Caller& caller) noexcept {
  return enter(caller, [&]() -> Status {
    const std::unique_ptr<Stream> object(stream_table().remove(number_of(stream)));
    return object ? object->synchronize() : bad_stream(caller);
  });
}

}  // namespace tutti::front
