using System.IO.Compression;
using System.Text;

namespace Krewe.Simulation;

/// <summary>
/// Lines of a text file, gzipped or not, read as a stream. Every complaint names file and line.
/// </summary>
internal sealed class TraceLines : IDisposable
{
    private readonly StreamReader _reader;
    private readonly int _lineLengthMax;
    private readonly StringBuilder _line = new();
    private readonly char[] _buffer = new char[32 << 10];
    private int _at;
    private int _filled;

    public TraceLines(string path, int lineLengthMax)
    {
        if (!File.Exists(path)) throw new SimulationException($"Trace file '{path}' does not exist.");
        Path = path;
        _lineLengthMax = lineLengthMax;
        var file = File.OpenRead(path);
        var zipped = file.ReadByte() == 0x1F && file.ReadByte() == 0x8B;
        file.Position = 0;
        _reader = new StreamReader(zipped ? new GZipStream(file, CompressionMode.Decompress) : file);
    }

    public string Path { get; }

    /// <summary>Number of the line read last, from 1.</summary>
    public long Number { get; private set; }

    /// <summary>The next line that is not empty; null at the end.</summary>
    public string? Next()
    {
        try
        {
            while (ReadLine() is { } line)
            {
                if (!string.IsNullOrWhiteSpace(line)) return line;
            }

            return null;
        }
        catch (InvalidDataException error)
        {
            throw Bad($"the gzip stream is damaged: {error.Message}");
        }
    }

    public SimulationException Bad(string reason) => new($"{Path}:{Math.Max(1, Number)}: {reason}");

    public void Dispose() => _reader.Dispose();

    // StreamReader.ReadLine would take a file without line ends into memory whole.
    private string? ReadLine()
    {
        _line.Clear();
        while (true)
        {
            if (_at == _filled)
            {
                (_at, _filled) = (0, _reader.Read(_buffer, 0, _buffer.Length));
                if (_filled == 0)
                {
                    if (_line.Length == 0) return null;
                    Number++;
                    return _line.ToString();
                }
            }

            var rest = _buffer.AsSpan(_at, _filled - _at);
            var end = rest.IndexOf('\n');
            _line.Append(end < 0 ? rest : rest[..end]);
            _at += end < 0 ? rest.Length : end + 1;
            if (_line.Length > _lineLengthMax)
            {
                Number++;
                throw Bad($"a line of over {_lineLengthMax} characters: this is no trace of that format.");
            }

            if (end < 0) continue;
            Number++;
            if (_line.Length > 0 && _line[^1] == '\r') _line.Length--;
            return _line.ToString();
        }
    }
}
