using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Krewe.Cli.Watching;

/// <summary>One request's life as lines: how it ended, and each step with its time, its place and what came of it.
/// </summary>
internal static class RequestScreen
{
    public static IRenderable Of(RequestLife life)
    {
        var attempts = life.Epoch > 1 ? $", [yellow]{life.Epoch} attempts[/]" : "";
        var moves = life.Migrations > 0 ? $", migrated {life.Migrations} times" : "";
        List<IRenderable> lines =
        [
            new Markup(string.Create(
                CultureInfo.InvariantCulture,
                $"[bold]{Markup.Escape(life.Id)}[/] {Outcome(life)}, came {life.ArrivedAt:yyyy-MM-dd HH:mm:ss} UTC")),
            new Markup(
                $"{life.PromptTokens} prompt tokens, {life.OutputTokens} output tokens, seed {life.Seed}"
                + attempts + moves),
        ];
        if (life.Error is { } error) lines.Add(new Text($"{error.Code}: {error.Message}", new Style(Color.Red)));
        lines.Add(new Text(""));
        lines.Add(Steps(life));
        return new Rows(lines);
    }

    private static string Outcome(RequestLife life) => life.Outcome switch
    {
        "finished" => $"[green]finished[/] ({Markup.Escape(life.FinishReason ?? "-")})",
        null => $"[yellow]{Markup.Escape(life.Phase)}[/]",
        var other => $"[red]{Markup.Escape(other)}[/]",
    };

    private static Table Steps(RequestLife life)
    {
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn(new TableColumn("at").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("after").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("step").RightAligned());
        table.AddColumn(new TableColumn("try").RightAligned());
        table.AddColumn(new TableColumn("where").NoWrap());
        table.AddColumn("what");
        var last = 0.0;
        foreach (var step in life.Steps)
        {
            table.AddRow(
                Ms(step.AtMs), Ms(step.AtMs - last), $"{step.Step}", step.Epoch == 0 ? "" : $"{step.Epoch}",
                Markup.Escape(step.Worker ?? "gateway"), Markup.Escape(step.What));
            last = step.AtMs;
        }

        return table;
    }

    private static string Ms(double value) => value >= 10_000
        ? string.Create(CultureInfo.InvariantCulture, $"{value / 1000:0.0} s")
        : string.Create(CultureInfo.InvariantCulture, $"{value:0.0} ms");
}
