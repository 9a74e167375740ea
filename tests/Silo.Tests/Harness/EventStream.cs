using System.Globalization;
using System.Text.Json;

namespace Krewe.Silo.Tests.Harness;

/// <summary>Reads server-sent events as they arrive.</summary>
internal sealed class EventStream(HttpResponseMessage response) : IDisposable
{
    private readonly StreamReader _reader = new(response.Content.ReadAsStream());

    private int _keepAlives;

    public void Dispose()
    {
        _reader.Dispose();
        response.Dispose();
    }

    /// <summary>Comments that were read between events.</summary>
    public int KeepAlives => Volatile.Read(ref _keepAlives);

    /// <summary>Number of the newest event; 0 before the first.</summary>
    public long Id { get; private set; }

    /// <summary>Name of the newest event; null when it has none.</summary>
    public string? Name { get; private set; }

    /// <summary>
    /// The next event's data; null at the end. Every event must be a number, one higher than the last, perhaps a name,
    /// "data: ..." and an empty line; only an error has no number.
    /// </summary>
    public async Task<string?> NextAsync()
    {
        var line = await _reader.ReadLineAsync().WaitAsync(Eventually.Limit);
        while (line == ": keep-alive")
        {
            Assert.Equal("", await _reader.ReadLineAsync());
            Interlocked.Increment(ref _keepAlives);
            line = await _reader.ReadLineAsync().WaitAsync(Eventually.Limit);
        }

        if (line is null) return null;
        if (line.StartsWith("id: ", StringComparison.Ordinal))
        {
            var id = long.Parse(line["id: ".Length..], CultureInfo.InvariantCulture);
            if (Id > 0) Assert.Equal(Id + 1, id);
            Id = id;
            line = await _reader.ReadLineAsync();
        }

        Name = null;
        if (line!.StartsWith("event: ", StringComparison.Ordinal))
        {
            Name = line["event: ".Length..];
            line = (await _reader.ReadLineAsync())!;
        }

        Assert.StartsWith("data: ", line, StringComparison.Ordinal);
        Assert.Equal("", await _reader.ReadLineAsync());
        return line["data: ".Length..];
    }

    public async Task<JsonElement> NextJsonAsync()
    {
        using var document = JsonDocument.Parse((await NextAsync())!);
        return document.RootElement.Clone();
    }

    /// <summary>All events up to and without [DONE]; nothing may follow it.</summary>
    public async Task<List<JsonElement>> ToEndAsync()
    {
        List<JsonElement> events = [];
        while (await NextAsync() is { } data)
        {
            if (data == "[DONE]")
            {
                Assert.Null(await NextAsync());
                return events;
            }

            using var document = JsonDocument.Parse(data);
            events.Add(document.RootElement.Clone());
        }

        throw new EndOfStreamException("The stream ended without [DONE].");
    }

    public static string TextOf(IEnumerable<JsonElement> chunks) => string.Concat(chunks
        .Where(chunk => chunk.At("choices").GetArrayLength() > 0)
        .Select(chunk => chunk.At("choices.0"))
        .Select(choice => choice.TryGetProperty("text", out var text) ? text.GetString()
            : choice.At("delta").TryGetProperty("content", out var content) ? content.GetString() : ""));
}
