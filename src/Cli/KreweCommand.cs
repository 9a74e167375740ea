using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics.CodeAnalysis;

namespace Krewe.Cli;

/// <summary>The <c>krewe</c> command: parses, refuses with every error at once, runs; a failure is one line.</summary>
internal static class KreweCommand
{
    internal static readonly Option<bool> Verbose = new("--verbose")
    {
        Description = "Log everything; print the stack trace with an error.",
        Recursive = true,
    };

    internal static readonly UsualOption<LogFormat> Format = Setting.Choice(
        "--log-format", "How lines of the log are written.", LogFormat.Text);

    /// <summary>A word that begins with @ is a word, not a file of options: <see cref="ConfigFile"/> is for those.
    /// </summary>
    private static readonly ParserConfiguration AsWritten = new() { ResponseFileTokenReplacer = null };

    static KreweCommand() => Format.Option.Recursive = true;

    public static RootCommand Build(Terminal terminal) => new(
        "Krewe serves large language models with prefill and decode on different workers.")
    {
        Verbose,
        Format,
        new ServeCommand(terminal),
        new SiloCommand(terminal),
        new WorkerCommand(terminal),
        new TopCommand(terminal),
        new RequestCommand(terminal),
        new ClusterCommand(terminal),
        new ChatCommand(terminal),
        new GenerateCommand(terminal),
        new BenchCommand(terminal),
        new ModelCommand(terminal),
        new SimulateCommand(terminal),
        new PlanCommand(terminal),
        new DoctorCommand(terminal),
        new GpuCheckCommand(terminal),
        new KeysCommand(terminal),
        new ReplayCommand(terminal),
        new CompletionCommand(terminal),
    };

    /// <summary>Runs one command line; returns its <see cref="ExitCode"/>.</summary>
    [SuppressMessage(
        "Design", "CA1031", Justification = "The last door: every failure becomes one line and an exit code.")]
    public static async Task<int> RunAsync(string[] args, Terminal terminal, CancellationToken cancellationToken)
    {
        // Nothing asked for: what there is to ask for.
        IReadOnlyList<string> words = args.Length == 0 ? ["--help"] : args;
        var root = Build(terminal);
        var result = ConfigFile.Read(Parse(words), words, Parse, out var wrong);
        if (wrong.Concat(UsageErrors.Of(result, words)).ToArray() is { Length: > 0 } errors)
            return terminal.RefuseUsage(errors, PathOf(result.CommandResult));

        terminal.SaysJson = Format.Read(result) == LogFormat.Json;
        var configuration = new InvocationConfiguration
        {
            EnableDefaultExceptionHandler = false,
            // Shutdown owns the signals: it lets a drain take its time.
            ProcessTerminationTimeout = null,
            Output = terminal.Out,
            Error = terminal.Error,
        };
        try
        {
            return await result.InvokeAsync(configuration, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCode.Success;
        }
        catch (Exception e)
        {
            return FailureReport.Print(e, terminal, result.GetValue(Verbose));
        }

        ParseResult Parse(IReadOnlyList<string> all) => root.Parse(all, AsWritten);
    }

    /// <summary>A command's name behind those of its groups.</summary>
    private static string PathOf(CommandResult command) => command.Parent is CommandResult group
        ? $"{PathOf(group)} {command.Command.Name}".TrimStart()
        : "";
}
