namespace Krewe.Tidy.Tests;

public sealed class RoomTests
{
    private static readonly string[] ForbiddenFolders =
        ["Utils", "Util", "Helpers", "Helper", "Common", "Support", "Misc"];

    [Fact]
    public void Project_references_follow_the_arrows_of_the_architecture() =>
        Findings.None(Projects("src").SelectMany(Rooms.FindForbiddenArrows));

    [Theory]
    [InlineData("Kernels", "Workers")]
    [InlineData("Grains", "Silo")]
    [InlineData("Control", "Models")]
    [InlineData("Basement", "Control")]
    public void An_arrow_that_is_not_allowed_is_found(string room, string target)
    {
        var project = new RepositoryFile(
            $"src/{room}/{room}.csproj",
            $"<Project><ItemGroup><ProjectReference Include=\"../{target}/{target}.csproj\" /></ItemGroup></Project>");

        Assert.Single(Rooms.FindForbiddenArrows(project));
    }

    [Fact]
    public void Every_room_has_its_folder_its_project_and_its_tests()
    {
        var projects = Projects("src").Concat(Projects("tests")).Select(file => file.Path).ToHashSet();

        Findings.None(Rooms.Names.Where(room => !projects.Contains($"src/{room}/{room}.csproj"))
            .Select(room => $"src/{room}/{room}.csproj is missing.")
            .Concat(Rooms.Names.Where(room => !projects.Contains($"tests/{room}.Tests/{room}.Tests.csproj"))
                .Select(room => $"tests/{room}.Tests/{room}.Tests.csproj is missing.")));
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = Repository.Get("Orleans.sln").Text.Replace('\\', '/');

        Findings.None(Projects("src").Concat(Projects("tests"))
            .Where(project => !solution.Contains($"\"{project.Path}\"", StringComparison.Ordinal))
            .Select(project => $"{project.Path} is not in Orleans.sln."));
    }

    [Fact]
    public void Every_room_has_a_row_in_the_architecture()
    {
        var architecture = Repository.Get("docs/ARCHITECTURE.md").Text;

        Findings.None(Rooms.Names
            .Where(room => !architecture.Contains($"| `src/{room}` |", StringComparison.Ordinal))
            .Select(room => $"docs/ARCHITECTURE.md has no row for src/{room}."));
    }

    [Fact]
    public void No_folder_is_a_drawer_for_everything() =>
        Findings.None(Repository.Files.Select(file => file.Path).Where(IsDrawer));

    [Fact]
    public void A_drawer_is_found() => Assert.True(IsDrawer("src/Silo/Helpers/Text.cs"));

    private static bool IsDrawer(string path) => path.Split('/')[..^1].Intersect(ForbiddenFolders).Any();

    private static IEnumerable<RepositoryFile> Projects(string folder) =>
        Repository.Under(folder).Where(file => file.Extension == ".csproj");
}
