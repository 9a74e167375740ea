using Krewe.Control.Access;

namespace Krewe.Cli.Tests.Commands;

public sealed class KeysCommandTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("krewe-keys-");

    private string File => Path.Combine(_folder.FullName, "keys.json");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Keys_are_added_to_a_file_that_has_only_their_hashes()
    {
        var first = await MakeAsync("--name", "web", "--tenant", "acme");
        var second = await MakeAsync("--name", "me", "--role", "operator", "--role", "inference");

        var text = await System.IO.File.ReadAllTextAsync(File);
        Assert.DoesNotContain(first, text, StringComparison.Ordinal);
        var table = AccessFile.Read([(File, text)], out var errors);
        Assert.Empty(errors);
        Assert.Equal(("web", "acme"), Named(table.Find(ApiKey.HashOf(first), default)));
        Assert.Equal(("me", "default"), Named(table.Find(ApiKey.HashOf(second), default)));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, System.IO.File.GetUnixFileMode(File));

        static (string Name, string Tenant) Named(ApiKey? key) => (key!.Name, key.Tenant);
    }

    [Theory]
    [InlineData("--role", "emperor")]
    [InlineData("--name", "a b")]
    public async Task A_wrong_key_is_refused_and_nothing_is_written(string option, string value)
    {
        var (code, _, error) = await RunAsync(TextReader.Null, "make", "--file", File, option, value);

        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains(value, error, StringComparison.Ordinal);
        Assert.False(System.IO.File.Exists(File));
    }

    [Fact]
    public async Task A_key_of_ones_own_is_hashed_unless_it_is_too_short()
    {
        var (code, output, _) = await RunAsync(new StringReader("a key of thirty characters....\n"), "hash");
        Assert.Equal(0, code);
        Assert.Equal(Convert.ToHexStringLower(ApiKey.HashOf("a key of thirty characters....")), output.Trim());

        Assert.Equal(ExitCode.Usage, (await RunAsync(new StringReader("secret\n"), "hash")).Code);
    }

    private async Task<string> MakeAsync(params string[] arguments)
    {
        var (code, output, error) = await RunAsync(TextReader.Null, ["make", "--file", File, .. arguments]);
        Assert.True(code == 0, error);
        return output.Trim();
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(
        TextReader input, params string[] arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await KreweCommand.RunAsync(["keys", .. arguments], new Terminal(input, output, error), default);
        return (code, output.ToString(), error.ToString());
    }
}
