using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Krewe.Simulation;

/// <summary>
/// Reads traces. Every error is a <see cref="SimulationException"/> that names file, line and reason.
/// </summary>
public static class TraceReader
{
    private const int MooncakeBlockTokens = 512;

    /// <summary>
    /// Mooncake's timestamps are rounded to about this step; arrivals are spread inside it, or bursts appear that never
    /// happened.
    /// </summary>
    private const double MooncakeStepMs = 3000;

    /// <summary>
    /// Reads a whole trace. <paramref name="seed"/> decides where rounded arrivals are put inside their step.
    /// </summary>
    public static Trace Read(string path, TraceFormat format, ulong seed, TraceLimits? limits = null)
    {
        limits ??= new TraceLimits();
        using var lines = new TraceLines(path, limits.LineLengthMax);
        var builder = new TraceBuilder(lines, limits);
        return format switch
        {
            TraceFormat.Mooncake => Spread(ReadMooncake(lines, builder), seed),
            TraceFormat.Azure => ReadAzure(lines, builder),
            TraceFormat.Krewe => ReadKrewe(lines, builder),
            TraceFormat.Pairs => ReadPairs(lines, builder),
            _ => throw new SimulationException($"Format {format} has no single file; see {nameof(ServeGenTrace)}."),
        };
    }

    private static Trace ReadMooncake(TraceLines lines, TraceBuilder builder)
    {
        var ids = new List<long>();
        while (lines.Next() is { } line)
        {
            var entry = new JsonLine(lines, line);
            entry.ReadIds("hash_ids", ids);
            var prompt = entry.Number("input_length");
            var blocks = Math.Ceiling(prompt / MooncakeBlockTokens);
            if (ids.Count > 0 && ids.Count != blocks)
                throw lines.Bad($"{ids.Count} hash_ids for {prompt} tokens; {blocks} blocks of 512 are expected.");
            builder.Add(entry.Number("timestamp"), prompt, entry.Number("output_length"), ids);
        }

        return builder.Build(MooncakeBlockTokens);
    }

    private static Trace ReadKrewe(TraceLines lines, TraceBuilder builder)
    {
        var ids = new List<long>();
        var blockTokens = 0;
        while (lines.Next() is { } line)
        {
            var entry = new JsonLine(lines, line);
            entry.ReadIds("blocks", ids);
            var tokens = (int)entry.Number("block_tokens", 16);
            if (tokens < 1 || (blockTokens != 0 && tokens != blockTokens))
                throw lines.Bad($"block_tokens is {tokens}; it must be at least 1 and the same on every line.");
            blockTokens = tokens;
            builder.Add(
                entry.Number("arrival_ms"), entry.Number("prompt_tokens"), entry.Number("output_tokens"), ids,
                (int)entry.Number("tenant", 0));
        }

        return builder.Build(Math.Max(1, blockTokens));
    }

    private static Trace ReadAzure(TraceLines lines, TraceBuilder builder)
    {
        var columns = new CsvColumns(lines);
        var published = columns.Has("TIMESTAMP");
        var arrival = published ? columns.Require("TIMESTAMP") : columns.Require("arrival_ms");
        var prompt = columns.Require("input_tokens", "ContextTokens");
        var output = columns.Require("output_tokens", "GeneratedTokens");
        DateTime? first = null;
        while (columns.Next())
        {
            double ms;
            if (published)
            {
                if (!DateTime.TryParse(
                    columns.Text(arrival), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
                    throw lines.Bad($"TIMESTAMP '{columns.Text(arrival)}' is not a time.");
                first ??= time;
                ms = (time - first.Value).TotalMilliseconds;
            }
            else ms = columns.Number(arrival);
            builder.Add(ms, columns.Number(prompt), columns.Number(output), []);
        }

        return builder.Build(1);
    }

    private static Trace ReadPairs(TraceLines lines, TraceBuilder builder)
    {
        var columns = new CsvColumns(lines);
        var prompt = columns.Require("input_tokens", "prompt_tokens", "input_tokens_est");
        var output = columns.Require("output_tokens", "output_tokens_est");
        while (columns.Next())
        {
            // Some published pair lists hold failed requests (0 tokens); they are no lengths.
            if (columns.Number(prompt) == 0 || columns.Number(output) == 0) continue;
            builder.Add(0, columns.Number(prompt), columns.Number(output), []);
        }

        return builder.Build(1);
    }

    private static Trace Spread(Trace trace, ulong seed)
    {
        var random = new SeededRandom(seed);
        var requests = trace.Requests;
        var offsets = new List<long>();
        for (var begin = 0; begin < requests.Count;)
        {
            var end = begin;
            while (end < requests.Count && requests[end].ArrivalNs == requests[begin].ArrivalNs) end++;
            var gap = end < requests.Count
                ? Math.Min(requests[end].ArrivalNs - requests[begin].ArrivalNs, (long)(MooncakeStepMs * 1e6))
                : (long)(MooncakeStepMs * 1e6);
            offsets.Clear();
            for (var i = begin; i < end; i++) offsets.Add((long)(random.NextDouble() * gap));
            offsets.Sort();
            for (var i = begin; i < end; i++)
                requests[i] = requests[i] with { ArrivalNs = requests[i].ArrivalNs + offsets[i - begin] };
            begin = end;
        }

        return trace;
    }

    /// <summary>One line of JSON, an object of numbers.</summary>
    private readonly struct JsonLine(TraceLines lines, string line)
    {
        private readonly JsonElement _object = Parse(lines, line);

        public double Number(string name, double? missing = null)
        {
            if (!_object.TryGetProperty(name, out var value))
                return missing ?? throw lines.Bad($"no field '{name}'.");
            return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number)
                ? number
                : throw lines.Bad($"field '{name}' is {value.GetRawText()}, not a number.");
        }

        public void ReadIds(string name, List<long> ids)
        {
            ids.Clear();
            if (!_object.TryGetProperty(name, out var value)) return;
            if (value.ValueKind != JsonValueKind.Array) throw lines.Bad($"field '{name}' is not an array.");
            foreach (var item in value.EnumerateArray())
            {
                if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out var id))
                    throw lines.Bad($"field '{name}' holds {item.GetRawText()}, not a whole number.");
                ids.Add(id);
            }
        }

        private static JsonElement Parse(TraceLines lines, string line)
        {
            try
            {
                var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(line));
                var element = JsonElement.ParseValue(ref reader);
                return element.ValueKind == JsonValueKind.Object
                    ? element
                    : throw lines.Bad("the line is no JSON object.");
            }
            catch (JsonException error)
            {
                throw lines.Bad($"not JSON: {error.Message}");
            }
        }
    }
}
