using System.Text.Json;
using Krewe.Abstractions;

namespace Krewe.Control.Batches;

/// <summary>One request of a batch's input. <paramref name="Body"/> is its JSON object.</summary>
/// <param name="Number">Line of the file, from 1.</param>
/// <param name="CustomId">Its sender's name for it, unique in the file.</param>
public sealed record BatchLine(int Number, string CustomId, string Body);

/// <summary>
/// Reads a batch's input: a JSON object a line with custom_id, method, url and body. Every line is looked at, so that
/// all mistakes are told at once.
/// </summary>
public static class BatchInput
{
    /// <summary>OpenAI's number.</summary>
    public const int LinesMax = 50_000;

    /// <summary>Mistakes that are told; a file of another format has one a line.</summary>
    public const int ErrorsMax = 100;

    private const int IdCharsMax = 512;

    /// <summary>The lines, and what is wrong with them; with any error nothing may run.</summary>
    /// <param name="endpoint">What every line's url must be.</param>
    public static (IReadOnlyList<BatchLine> Lines, IReadOnlyList<BatchError> Errors) Read(
        IEnumerable<string> text, string endpoint)
    {
        List<BatchLine> lines = [];
        List<BatchError> errors = [];
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var number = 0;
        foreach (var line in text)
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            if (lines.Count == LinesMax)
            {
                errors.Add(new BatchError(
                    "too_many_requests", $"The file has more than {LinesMax} requests; split it.", null, number));
                break;
            }

            try
            {
                lines.Add(ReadLine(line, number, endpoint, seen));
            }
            catch (BatchLineException e)
            {
                errors.Add(e.Error);
                if (errors.Count == ErrorsMax) break;
            }
        }

        if (lines.Count == 0 && errors.Count == 0)
            errors.Add(new BatchError("empty_file", "The file has no request.", null, null));
        return (lines, errors);
    }

    private static BatchLine ReadLine(string line, int number, string endpoint, HashSet<string> seen)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(line);
        }
        catch (JsonException e)
        {
            throw Wrong("invalid_json_line", $"The line is not JSON: {e.Message}", null);
        }

        using (document)
        {
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
                throw Wrong("invalid_json_line", "The line is JSON but not an object.", null);
            var id = Text("custom_id") is { Length: > 0 and <= IdCharsMax } given ? given : throw Wrong(
                "missing_required_parameter", $"'custom_id' must be a string of 1 to {IdCharsMax} characters.",
                "custom_id");
            if (!seen.Add(id)) throw Wrong("duplicate_custom_id", $"'{id}' was used by an earlier line.", "custom_id");
            if (Text("method") != "POST") throw Wrong("invalid_method", "'method' must be POST.", "method");
            if (Text("url") != endpoint)
            {
                throw Wrong(
                    "mismatched_endpoint", $"'url' is '{Text("url")}'; the batch's endpoint is {endpoint}.", "url");
            }

            if (!root.TryGetProperty("body", out var body) || body.ValueKind != JsonValueKind.Object)
                throw Wrong("missing_required_parameter", "'body' must be the request's JSON object.", "body");
            if (body.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True)
                throw Wrong("invalid_body", "A batch has no streams; leave 'stream' out.", "body.stream");
            return new BatchLine(number, id, body.GetRawText());

            string? Text(string name)
            {
                if (!root.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.String) return null;
                try
                {
                    return value.GetString();
                }
                catch (InvalidOperationException)
                {
                    throw Wrong("invalid_json_line", $"'{name}' is not valid Unicode.", name);
                }
            }
        }

        BatchLineException Wrong(string code, string message, string? parameter) =>
            new(new BatchError(code, message, parameter, number));
    }

    /// <summary>Ends the reading of one line.</summary>
    private sealed class BatchLineException(BatchError error) : Exception(error.Message)
    {
        public BatchError Error => error;
    }
}
