// code: how a call ended. Apart from status.h, so that a door (lib/api) can return it without knowing Status.
#pragma once

namespace tutti {

// The C API's numbers.
enum class Code : int {
  Success = 0,
  DeviceError = 1,
  SystemError = 2,
  InternalError = 3,
  InvalidArgument = 4,
  InvalidUsage = 5,
  RemoteError = 6,
  InProgress = 7,
};

}  // namespace tutti
