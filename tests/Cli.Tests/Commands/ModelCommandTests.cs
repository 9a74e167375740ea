using System.Text.Json;

namespace Krewe.Cli.Tests.Commands;

public sealed class ModelCommandTests
{
    [Fact]
    public async Task Info_describes_the_bundled_model_as_json()
    {
        var run = await Run.Krewe("model", "info", "--json");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        using var json = JsonDocument.Parse(run.Out);
        Assert.Equal("LlamaForCausalLM", json.RootElement.GetProperty("architecture").GetString());
        Assert.Equal(3_279_104, json.RootElement.GetProperty("parameters").GetInt64());
        Assert.Equal(2048, json.RootElement.GetProperty("kv_bytes_per_token").GetInt64());
        Assert.Equal(64, json.RootElement.GetProperty("fingerprint").GetString()!.Length);
    }

    [Fact]
    public async Task Info_prints_a_table()
    {
        var run = await Run.Krewe("model", "info");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains("3,279,104 in 39 tensors", run.Out);
    }

    [Fact]
    public async Task A_folder_that_is_no_model_is_refused_with_its_name()
    {
        var run = await Run.Krewe("model", "info", "no-such-folder");

        Assert.Equal(ExitCode.Refused, run.ExitCode);
        Assert.Contains("no-such-folder", run.Error);
        Assert.DoesNotContain(" at ", run.Error);
    }
}
