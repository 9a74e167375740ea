namespace Krewe.Cli.Tests;

/// <summary>One command line run in this process, and what it said.</summary>
internal sealed record Run(int ExitCode, string Out, string Error)
{
    public static async Task<Run> Krewe(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var terminal = new Terminal(TextReader.Null, output, error);
        var code = await KreweCommand.RunAsync(arguments, terminal, CancellationToken.None);
        return new Run(code, output.ToString(), error.ToString());
    }
}
