namespace Krewe.Cli;

/// <summary>Counts the events of a stream in its raw bytes: a generator of load must cost less than what it loads.
/// </summary>
internal sealed class EventCounter
{
    private static readonly byte[] Mark = [.. "data: "u8];
    private static readonly byte[] End = [.. "data: [DONE]"u8];

    // What may be the beginning of a mark that the next bytes complete.
    private readonly List<byte> _rest = [];

    /// <summary>Events but the last, which only says that it is the last.</summary>
    public int Count { get; private set; }

    public bool IsDone { get; private set; }

    public void Take(ReadOnlySpan<byte> bytes)
    {
        if (_rest.Count > 0)
        {
            byte[] joined = [.. _rest, .. bytes];
            _rest.Clear();
            Scan(joined);
        }
        else
        {
            Scan(bytes);
        }
    }

    private void Scan(ReadOnlySpan<byte> bytes)
    {
        while (bytes.IndexOf(Mark) is var at and >= 0)
        {
            bytes = bytes[at..];
            // Whether it is the end shows only when so many bytes are there.
            if (bytes.Length < End.Length)
            {
                _rest.AddRange(bytes);
                return;
            }

            if (bytes.StartsWith(End))
                IsDone = true;
            else
                Count++;
            bytes = bytes[Mark.Length..];
        }

        _rest.AddRange(bytes[Math.Max(0, bytes.Length - Mark.Length + 1)..]);
    }
}
