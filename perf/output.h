// output: files that a program writes when all is done. Whether they can be written is found before anything begins.
#pragma once
#include <string>

namespace tutti::perf {

// "", or a sentence with the path and the reason. Makes and changes nothing.
std::string cannot_write(const std::string& path);

// The whole text. "", or a sentence. A file that is there keeps its text when there is no room for the new one.
std::string write_file(const std::string& path, const std::string& text);

}  // namespace tutti::perf
