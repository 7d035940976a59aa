import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

/** A program that knows nothing of OAuth, nor of any proxy: gets a URL with each of Java's two HTTP clients. */
class Fetch {
  public static void main(String[] arguments) throws IOException, InterruptedException {
    var url = URI.create(arguments[0]);
    var connection = (HttpURLConnection) url.toURL().openConnection();
    try (var body = connection.getInputStream()) {
      System.out.println("HttpURLConnection " + connection.getResponseCode() + " " + new String(body.readAllBytes()));
    }
    var client = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NORMAL).build();
    var answer = client.send(HttpRequest.newBuilder(url).build(), BodyHandlers.ofString());
    System.out.println("HttpClient " + answer.statusCode() + " " + answer.body());
    var post = HttpRequest.newBuilder(url.resolve("/orders")).POST(HttpRequest.BodyPublishers.ofString("one")).build();
    System.out.println("HttpClient " + client.send(post, BodyHandlers.ofString()).body());
  }
}
