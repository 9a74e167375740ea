using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Krewe.Cli.Tests.Logging;

public sealed class JsonLoggerProviderTests
{
    [Fact]
    public void A_line_is_one_object_with_values_trace_and_exception()
    {
        using var span = new Activity("test").SetIdFormat(ActivityIdFormat.W3C).Start();
        using var output = new StringWriter();
        using (var provider = new JsonLoggerProvider(output, new ManualTime(), "decode-0"))
        {
            provider.CreateLogger("Krewe.Test").Log(
                LogLevel.Warning, new EventId(7, "Something"),
                (IReadOnlyList<KeyValuePair<string, object?>>)
                [
                    new("Count", 3), new("Who", "a \"b\"\nc"), new("{OriginalFormat}", "no"),
                ],
                new FormatException("bad"), (_, _) => "3 of a \"b\"\nc");
        }

        var line = Assert.Single(output.ToString().TrimEnd().Split('\n'));
        using var json = JsonDocument.Parse(line);
        var root = json.RootElement;
        Assert.Equal("warning", root.GetProperty("level").GetString());
        Assert.Equal("Krewe.Test", root.GetProperty("category").GetString());
        Assert.Equal("decode-0", root.GetProperty("process").GetString());
        Assert.Equal("Something", root.GetProperty("event").GetString());
        Assert.Equal("3 of a \"b\"\nc", root.GetProperty("message").GetString());
        Assert.Equal("3 of a \"b\"\nc", JsonLine.MessageOf(line));
        Assert.Equal("{3 of a}", JsonLine.MessageOf("{3 of a}"));
        Assert.Equal(3, root.GetProperty("values").GetProperty("Count").GetInt32());
        Assert.Equal("a \"b\"\nc", root.GetProperty("values").GetProperty("Who").GetString());
        Assert.False(root.GetProperty("values").TryGetProperty("{OriginalFormat}", out _));
        Assert.Equal(span.TraceId.ToHexString(), root.GetProperty("trace_id").GetString());
        Assert.Equal("bad", root.GetProperty("exception").GetProperty("message").GetString());
        Assert.Equal(JsonValueKind.String, root.GetProperty("time").ValueKind);
    }
}
