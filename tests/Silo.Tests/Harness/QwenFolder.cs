using Krewe.Models;
using WorkerRole = Krewe.Abstractions.Wire.WorkerRole;

namespace Krewe.Silo.Tests.Harness;

/// <summary>The bundled model with Qwen 3's chat template: a folder of its own.</summary>
internal sealed class QwenFolder : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("krewe-qwen-").FullName;

    public QwenFolder()
    {
        foreach (var file in Directory.GetFiles(TestModel.Directory))
            File.Copy(file, Path.Combine(_directory, Path.GetFileName(file)));
        File.Copy(
            Path.Combine(AppContext.BaseDirectory, "templates", "qwen3-8b.jinja"),
            Path.Combine(_directory, "chat_template.jinja"));
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    /// <summary>A silo that serves it, with two workers that answer <paramref name="output"/>.</summary>
    public async Task<SiloHarness> StartAsync(string output)
    {
        var harness = await SiloHarness.StartAsync(
            options => options with { ModelDirectory = _directory, ServedModelName = TestModel.Name });
        var fingerprint = ModelFolder.Open(_directory, openWeights: false).Fingerprint;
        await harness.AddAsync("prefill-0", WorkerRole.Prefill, hello => hello.ModelFingerprint = fingerprint);
        await harness.AddAsync("decode-0", WorkerRole.Decode, hello => hello.ModelFingerprint = fingerprint);
        harness.Script = start => SiloHarness.Limited(start, TestModel.Encode(output));
        return harness;
    }

    /// <summary>The only prompt that its prefill worker got, as text.</summary>
    public static string PromptOf(SiloHarness harness) => TestModel.Folder.Tokenizer.Decode(
        [.. Assert.Single(harness.Prefill.Started).PromptTokens.Select(token => (int)token)], skipSpecialTokens: false);
}
