using System.Buffers;
using System.Diagnostics;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli;

/// <summary>
/// One line of a structured log: time, level, category, message; event, its values, the process, the trace and the
/// exception where there are such.
/// </summary>
internal static class JsonLine
{
    // A line for collectors, never part of a page: quotes of a message stay readable.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Write(
        DateTimeOffset time, LogLevel level, string category, string message, string? process = null,
        EventId eventId = default, IEnumerable<KeyValuePair<string, object?>>? values = null,
        Exception? exception = null)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes, Options))
        {
            json.WriteStartObject();
            json.WriteString("time", time.UtcDateTime);
            json.WriteString("level", level.ToString().ToLowerInvariant());
            json.WriteString("category", category);
            if (process is not null) json.WriteString("process", process);
            if (eventId.Name is { } name) json.WriteString("event", name);
            json.WriteString("message", message);
            if (values is not null) WriteValues(json, values);
            if (Activity.Current is { } span)
            {
                json.WriteString("trace_id", span.TraceId.ToHexString());
                json.WriteString("span_id", span.SpanId.ToHexString());
            }

            if (exception is not null)
            {
                json.WriteStartObject("exception");
                json.WriteString("type", exception.GetType().FullName);
                json.WriteString("message", exception.Message);
                json.WriteString("stack", exception.ToString());
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <summary>What such a line says; any other line as it is.</summary>
    public static string MessageOf(string line)
    {
        if (line.Length == 0 || line[0] != '{') return line;
        try
        {
            using var json = JsonDocument.Parse(line);
            return json.RootElement.TryGetProperty("message", out var said) ? said.GetString() ?? line : line;
        }
        catch (JsonException)
        {
            return line;
        }
    }

    private static void WriteValues(Utf8JsonWriter json, IEnumerable<KeyValuePair<string, object?>> values)
    {
        json.WriteStartObject("values");
        foreach (var (key, value) in values)
        {
            if (key == "{OriginalFormat}") continue;
            switch (value)
            {
                case null: json.WriteNull(key); break;
                case bool flag: json.WriteBoolean(key, flag); break;
                case int number: json.WriteNumber(key, number); break;
                case long number: json.WriteNumber(key, number); break;
                case double number when double.IsFinite(number): json.WriteNumber(key, number); break;
                default: json.WriteString(key, value.ToString()); break;
            }
        }

        json.WriteEndObject();
    }
}
